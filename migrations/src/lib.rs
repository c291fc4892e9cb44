//! The on-disk format's version and the ordered, resumable migrations between versions.
