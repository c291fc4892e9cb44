//! The on-disk format of a data folder: which version it has, and the steps from one version to the next.
//!
//! | module | what it does |
//! |---|---|
//! | [`marker`] | the file `FORMAT`: says that a folder is a Weir data folder, and of which version |
//! | [`migrate`] | brings a folder to the version of this binary, one step after the other |
//! | `journal_offsets` | format 1 to 2 |
//! | `administrator_tokens` | format 2 to 3 |
//! | `kept_bundles` | format 3 to 4 |
//!
//! A step knows the format before it and the one after it, as bytes, and nothing of the rest of Weir, which goes on
//! changing. The store [prepares](prepare) a folder and lends its records to the [`Upgrade`].

mod administrator_tokens;
mod journal_offsets;
mod kept_bundles;
pub mod marker;
#[cfg(test)]
mod memory;
pub mod migrate;

pub use marker::is_data_folder;
pub use migrate::{FORMAT, PrepareError, Record, Records, Upgrade, prepare};
