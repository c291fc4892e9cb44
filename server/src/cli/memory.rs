//! Has what is freed go back to the operating system.
//!
//! By itself the allocator of glibc learns from what is freed to keep more and more of it, up to tens of MiB for each thread
//! that has ever had so much. What one large result took would be held for good, a few times over.

#![cfg_attr(all(target_os = "linux", target_env = "gnu"), allow(unsafe_code, reason = "mallopt has no safe wrapper"))]

/// From this size on memory comes from the system and goes back to it, piece by piece; this much is kept for smaller ones.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
const KEPT_BYTES: i32 = 128 << 10;

/// Sets the allocator's thresholds, which it no longer moves then. To be called before other threads start.
pub fn give_back() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    for threshold in [libc::M_MMAP_THRESHOLD, libc::M_TRIM_THRESHOLD] {
        // SAFETY: nothing else is set up or running yet; a refused setting leaves things as they were.
        unsafe { libc::mallopt(threshold, KEPT_BYTES) };
    }
}
