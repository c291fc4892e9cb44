//! Modules get at no others while they run: `import()` throws, and `import.meta` is empty and stays so.
//!
//! What deno_core does by itself would load modules behind a promise that a query cannot await, and give each module an
//! object that lasts.

#![allow(unsafe_code, reason = "V8 hands over import.meta without a scope; making one is unsafe")]

use deno_core::v8;

/// Takes the place of deno_core's ways of importing.
pub fn refuse(isolate: &mut v8::Isolate) {
    isolate.set_host_import_module_dynamically_callback(refuse_import);
    isolate.set_host_import_module_with_phase_dynamically_callback(refuse_import_of_phase);
    isolate.set_host_initialize_import_meta_object_callback(freeze_meta);
}

fn throw(scope: &mut v8::PinScope<'_, '_>) {
    if let Some(message) = v8::String::new(scope, "import() cannot load anything while code runs") {
        let error = v8::Exception::type_error(scope, message);
        scope.throw_exception(error);
    }
}

fn refuse_import<'s>(
    scope: &mut v8::PinScope<'s, '_>,
    _options: v8::Local<'s, v8::Data>,
    _referrer: v8::Local<'s, v8::Value>,
    _specifier: v8::Local<'s, v8::String>,
    _attributes: v8::Local<'s, v8::FixedArray>,
) -> Option<v8::Local<'s, v8::Promise>> {
    throw(scope);
    None
}

fn refuse_import_of_phase<'s>(
    scope: &mut v8::PinScope<'s, '_>,
    _options: v8::Local<'s, v8::Data>,
    _referrer: v8::Local<'s, v8::Value>,
    _specifier: v8::Local<'s, v8::String>,
    _phase: v8::ModuleImportPhase,
    _attributes: v8::Local<'s, v8::FixedArray>,
) -> Option<v8::Local<'s, v8::Promise>> {
    throw(scope);
    None
}

extern "C" fn freeze_meta(
    context: v8::Local<v8::Context>,
    _module: v8::Local<v8::Module>,
    meta: v8::Local<v8::Object>,
) {
    // SAFETY: V8 calls this inside the isolate and the context that it passes, which is what a callback scope asks for.
    v8::callback_scope!(unsafe scope, context);
    meta.set_integrity_level(scope, v8::IntegrityLevel::Frozen);
}
