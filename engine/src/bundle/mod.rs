//! Bundles: how they are packed and signed, and what it takes for one to run.
//!
//! | module | what it does |
//! |---|---|
//! | [`key`] | keys for signing, and how they are written down |
//! | [`sign`] | packs an app and signs it |
//! | [`signed`] | reads what one key has signed, whatever it is |
//! | [`verified`] | the check of who has signed a bundle, and that nothing of it was changed since |
//!
//! Architecture invariant: a bundle that was not verified gives nothing that can run: [`VerifiedBundle`] has one constructor,
//! which is the check.

pub mod key;
mod pem;
pub mod sign;
pub mod signed;
pub mod verified;

pub use verified::VerifiedBundle;
