//! The on-disk format of a data folder: which version it has, and the steps from one version to the next.
//!
//! | module | what it does |
//! |---|---|
//! | [`marker`] | the file `FORMAT`: says that a folder is a Weir data folder, and of which version |
//! | [`migrate`] | brings a folder to the version of this binary, one step after the other |
//!
//! [`prepare`] is all that the store calls.

pub mod marker;
pub mod migrate;

pub use marker::is_data_folder;
pub use migrate::{FORMAT, PrepareError, prepare};
