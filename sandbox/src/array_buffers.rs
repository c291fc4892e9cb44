//! The memory of an isolate's array buffers: counted, zeroed, and refused past the limit.
//!
//! It lies outside of V8's heap and so outside of the heap's limit. V8 asks again after it has collected garbage, several
//! times over; only when it has given up is the limit reached. Resizable buffers do not come from here, since V8 reserves
//! address space for them: the prelude has each reserve its largest size, which counts until the call ends.

#![allow(unsafe_code, reason = "V8 takes an allocator as a table of C functions")]

use std::alloc::{Layout, alloc, alloc_zeroed, dealloc};
use std::ffi::c_void;
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use deno_core::v8;

/// As malloc aligns.
const ALIGNMENT: usize = 16;

/// How often V8 asks for the same memory before it gives up: at first, twice after a collection, and once after it has
/// collected all that it can (`Heap::AllocateExternalBackingStore`).
const ASKS_MAX: u32 = 4;

/// What one isolate has taken.
pub struct ArrayBuffers {
    /// Handed out by the allocator.
    allocated: AtomicUsize,
    /// Reserved for resizable buffers by the call at hand.
    reserved: AtomicUsize,
    limit: usize,
    /// Refusals in a row.
    refusals: AtomicU32,
    exceeded: AtomicBool,
    /// Whose script ends when more is needed.
    isolate: OnceLock<v8::IsolateHandle>,
}

impl ArrayBuffers {
    /// An account with nothing on it.
    pub fn new(limit: usize) -> Arc<Self> {
        Arc::new(Self {
            allocated: AtomicUsize::new(0),
            reserved: AtomicUsize::new(0),
            limit,
            refusals: AtomicU32::new(0),
            exceeded: AtomicBool::new(false),
            isolate: OnceLock::new(),
        })
    }

    /// An allocator for the isolate that keeps this account.
    pub fn allocator(self: &Arc<Self>) -> v8::UniqueRef<v8::Allocator> {
        // SAFETY: the handle is an `Arc` turned raw, which the table's functions take as what it points to and give back
        // in `drop_account`.
        unsafe { v8::new_rust_allocator(Arc::into_raw(self.clone()), &TABLE) }
    }

    /// Names the isolate that has this allocator.
    pub fn belong_to(&self, isolate: v8::IsolateHandle) {
        // The first stays; there is no second.
        let _ = self.isolate.set(isolate);
    }

    /// Whether V8 was refused memory and has not got any since: it throws a `RangeError` in the script then.
    pub fn has_refused(&self) -> bool {
        self.refusals.load(Ordering::Relaxed) > 0
    }

    /// Whether more was needed than allowed.
    pub fn is_exceeded(&self) -> bool {
        self.exceeded.load(Ordering::Relaxed)
    }

    /// Takes the largest size of a resizable buffer off the call's allowance; whether there is so much.
    pub fn reserve(&self, bytes: usize) -> bool {
        let fits = self.fits(bytes);
        if fits {
            self.reserved.fetch_add(bytes, Ordering::Relaxed);
        } else {
            self.exceed();
        }
        fits
    }

    /// The call is over, and with it what it reserved.
    pub fn end_call(&self) {
        self.reserved.store(0, Ordering::Relaxed);
        self.refusals.store(0, Ordering::Relaxed);
    }

    fn fits(&self, bytes: usize) -> bool {
        let taken = self.allocated.load(Ordering::Relaxed).saturating_add(self.reserved.load(Ordering::Relaxed));
        taken.saturating_add(bytes) <= self.limit
    }

    fn allocate(&self, bytes: usize, allocate: unsafe fn(Layout) -> *mut u8) -> *mut c_void {
        let Some(layout) = layout(bytes) else { return self.refuse() };
        if !self.fits(bytes) {
            return self.refuse();
        }
        // SAFETY: the layout has a size, as `layout` sees to.
        let memory = unsafe { allocate(layout) };
        if memory.is_null() {
            return self.refuse();
        }
        self.refusals.store(0, Ordering::Relaxed);
        self.allocated.fetch_add(bytes, Ordering::Relaxed);
        memory.cast()
    }

    fn refuse(&self) -> *mut c_void {
        if self.refusals.fetch_add(1, Ordering::Relaxed) + 1 >= ASKS_MAX {
            self.exceed();
        }
        ptr::null_mut()
    }

    fn exceed(&self) {
        self.exceeded.store(true, Ordering::Relaxed);
        if let Some(isolate) = self.isolate.get() {
            isolate.terminate_execution();
        }
    }
}

/// V8 may ask for no bytes and wants memory all the same.
fn layout(bytes: usize) -> Option<Layout> {
    Layout::from_size_align(bytes.max(1), ALIGNMENT).ok()
}

static TABLE: v8::RustAllocatorVtable<ArrayBuffers> = v8::RustAllocatorVtable {
    allocate: allocate_zeroed,
    allocate_uninitialized,
    free: free_memory,
    drop: drop_account,
};

unsafe extern "C" fn allocate_zeroed(account: &ArrayBuffers, bytes: usize) -> *mut c_void {
    account.allocate(bytes, alloc_zeroed)
}

unsafe extern "C" fn allocate_uninitialized(account: &ArrayBuffers, bytes: usize) -> *mut c_void {
    account.allocate(bytes, alloc)
}

unsafe extern "C" fn free_memory(account: &ArrayBuffers, memory: *mut c_void, bytes: usize) {
    if let Some(layout) = layout(bytes).filter(|_| !memory.is_null()) {
        account.allocated.fetch_sub(bytes, Ordering::Relaxed);
        // SAFETY: V8 gives back what `allocate` gave it, with the size that it asked for.
        unsafe { dealloc(memory.cast(), layout) };
    }
}

unsafe extern "C" fn drop_account(account: *const ArrayBuffers) {
    // SAFETY: V8 gives back, once, what `allocator` turned raw.
    drop(unsafe { Arc::from_raw(account) });
}
