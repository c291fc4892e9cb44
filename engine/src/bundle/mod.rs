//! Bundles: how they are packed and signed, and what it takes for one to run.
//!
//! | module | what it does |
//! |---|---|
//! | [`key`] | keys for signing, and how they are written down |
//! | [`sign`] | packs an app and signs it |
//! | [`verified`] | the check of who has signed a bundle, and that nothing of it was changed since |
//!
//! Architecture invariant: a bundle that was not verified gives nothing that can run: [`VerifiedBundle`] has one constructor,
//! which is the check.

pub mod key;
mod pem;
pub mod sign;
pub mod verified;

pub use verified::VerifiedBundle;
