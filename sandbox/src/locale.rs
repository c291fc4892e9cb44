//! The language and the time zone of a server do not show in a script: it is en-US and UTC everywhere.
//!
//! V8 asks the ICU library for its defaults, which ICU would take from the environment and from files. To set them holds
//! for the whole process, and needs neither of the two.

#![allow(unsafe_code, reason = "the v8 crate has no name for the C function of ICU that sets the default time zone")]

use deno_core::v8;

unsafe extern "C" {
    // The number is the release of ICU that V8 brings; the v8 crate names `udata_setCommonData_77` in the same way.
    fn ucal_setDefaultTimeZone_77(zone_id: *const u16, error_code: *mut i32);
}

/// `UTC` as ICU takes text: UTF-16, ended by a zero.
const UTC: [u16; 4] = [0x55, 0x54, 0x43, 0];

/// Makes the defaults en-US and UTC. To be called before the first isolate is made.
pub fn fix() {
    v8::icu::set_default_locale("en-US");
    let mut error_code = 0;
    // SAFETY: the text ends with a zero and outlives the call, which copies it; the second argument is a valid place for
    // ICU's error code. ICU guards its default by a lock of its own.
    unsafe { ucal_setDefaultTimeZone_77(UTC.as_ptr(), &mut error_code) };
    // ICU has data for UTC built in, and no other failure is known to this function.
    debug_assert!(error_code <= 0, "ICU did not take UTC as the default time zone: {error_code}");
}
