//! Hands V8 the modules of one app, and nothing else.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::sync::Arc;

use deno_core::{
    ModuleLoadOptions, ModuleLoadReferrer, ModuleLoadResponse, ModuleLoader, ModuleResolveResponse, ModuleSource,
    ModuleSourceCode, ModuleSpecifier, ModuleType, ResolutionKind,
};
use deno_error::JsErrorBox;
use weir_schema::shape::{self, Definition, Definitions, Shape, Slot};

use crate::app::{App, Module};

/// Scheme and root of all module specifiers: `app:///functions/orders.ts`.
const ROOT: &str = "app:///";
/// The specifier of the API.
pub const API: &str = "app:///weir";
/// The specifier of the generated entry module.
pub const ENTRY: &str = "app:///entry";

/// The specifier of the module by which the compiler's last lines hand over what a module declares.
pub const KEEP: &str = "weir:keep";

/// That module. Evaluated with the API, before the globals are sealed.
const KEEP_CODE: &str = "export const { keep } = globalThis.__weir;";

/// The module `weir`: re-exports what the snapshot holds.
const API_CODE: &str = "import \"weir:keep\"; export const { action, attempt, avg, call, caller, cancelJob, collection, count, fail, hmac, http, max, \
                        metric, min, now, procedure, query, schedule, secret, stream, sum, timingSafeEqual, top, view } = \
                        globalThis.__weir.api;";

/// Serves the modules of one app from memory.
pub struct AppModules {
    app: Arc<App>,
}

impl AppModules {
    /// Serves the modules of `app`.
    pub fn new(app: Arc<App>) -> Self {
        Self { app }
    }

    fn module(&self, specifier: &str) -> Option<&Module> {
        let path = specifier.strip_prefix(ROOT)?;
        self.app.modules.iter().find(|module| module.path == path)
    }

    fn target(&self, specifier: &str, referrer: &str) -> Option<String> {
        if referrer == ENTRY || [API, ENTRY, KEEP].contains(&specifier) {
            return Some(specifier.to_owned());
        }
        let (_, path) = self.module(referrer)?.imports.iter().find(|(written, _)| written == specifier)?;
        Some(if path == "weir" { API.to_owned() } else { specifier_of(path) })
    }
}

/// The specifier of the module at a path relative to the app folder.
fn specifier_of(path: &str) -> String {
    format!("{ROOT}{path}")
}

/// The path relative to the app folder that a specifier names, if it is one of the app's.
pub fn path_of(specifier: &str) -> Option<&str> {
    specifier.strip_prefix(ROOT).filter(|path| path.ends_with(".ts"))
}

/// The entry module: imports every module, exports collections and functions with their names for the prelude to bind.
pub fn entry(app: &App) -> String {
    let mut code = String::new();
    for (index, module) in app.modules.iter().enumerate() {
        code.push_str(&format!("import * as m{index} from {:?};\n", specifier_of(&module.path)));
    }
    code.push_str("export const modules = [\n");
    for (index, module) in app.modules.iter().enumerate() {
        code.push_str(&format!("  [{:?}, m{index}],\n", module.path));
    }
    code.push_str("];\n");
    let exporter = |path: &str| app.modules.iter().position(|module| module.path == path);
    code.push_str("export const collections = [\n");
    for collection in app.declarations.collections.values() {
        if let Some(index) = exporter(&collection.module) {
            code.push_str(&format!("  [{name:?}, m{index}.{name}],\n", name = collection.name));
        }
    }
    code.push_str("];\nexport const functions = [\n");
    for function in app.declarations.callables() {
        if let Some(index) = exporter(&function.module) {
            let unnoticed = unnoticed(&function.result, &app.declarations.definitions, &mut BTreeSet::new());
            let unnoticed = unnoticed.as_str();
            let parts = function.index.as_ref().and_then(|index| index.parts.as_ref());
            let parts = parts.map(|parts| format!(", {parts:?}")).unwrap_or_default();
            code.push_str(&format!("  [{name:?}, m{index}.{name}, {unnoticed:?}{parts}],\n", name = function.name));
        }
    }
    let claims: Vec<&String> = app.manifest.caller.claims.keys().collect();
    code.push_str(&format!("];\nexport const claims = {claims:?};\n"));
    code
}

/// What a result may lose on its way through JSON without a trace in its declared type; the prelude looks for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Unnoticed {
    /// Nothing: the check of the result finds it all.
    Nothing,
    /// NaN and the infinities are null in JSON, and some number may be null.
    Numbers,
    /// A member may be any JSON, so all that is no JSON is missing, null or `{}`.
    Anything,
}

impl Unnoticed {
    /// The prelude's word for it.
    fn as_str(self) -> &'static str {
        match self {
            Self::Nothing => "nothing",
            Self::Numbers => "numbers",
            Self::Anything => "anything",
        }
    }
}

/// `seen` holds the definitions that are looked into already.
fn unnoticed<'a>(slot: &'a Slot, definitions: &'a Definitions, seen: &mut BTreeSet<&'a str>) -> Unnoticed {
    match &slot.shape {
        Shape::Json => Unnoticed::Anything,
        Shape::Int | Shape::Float if slot.nullable || slot.optional => Unnoticed::Numbers,
        Shape::List(element) => unnoticed(element, definitions, seen),
        Shape::Object(name) | Shape::Union(name) if seen.insert(name) => match definitions.get(name) {
            Some(Definition::Object(object)) => {
                let members = object.members.iter().map(|member| unnoticed(&member.slot, definitions, seen));
                members.max().unwrap_or(Unnoticed::Nothing)
            }
            Some(Definition::Union(union)) => {
                let members = union.alternatives.iter().filter_map(|one| shape::object(definitions, &one.object));
                let slots = members.flat_map(|object| object.members.iter().map(|member| &member.slot));
                slots.map(|slot| unnoticed(slot, definitions, seen)).max().unwrap_or(Unnoticed::Nothing)
            }
            _ => Unnoticed::Nothing,
        },
        _ => Unnoticed::Nothing,
    }
}

impl ModuleLoader for AppModules {
    fn resolve(&self, specifier: &str, referrer: &str, kind: ResolutionKind) -> ModuleResolveResponse {
        if kind == ResolutionKind::DynamicImport {
            return Err(JsErrorBox::type_error("import() is not allowed"));
        }
        self.target(specifier, referrer)
            .and_then(|target| ModuleSpecifier::parse(&target).ok())
            .ok_or_else(|| JsErrorBox::type_error(format!("the app has no module {specifier}")))
    }

    fn load(
        &self,
        specifier: &ModuleSpecifier,
        _referrer: Option<&ModuleLoadReferrer>,
        _options: ModuleLoadOptions,
    ) -> ModuleLoadResponse {
        let code = match specifier.as_str() {
            API => Some(API_CODE.to_owned()),
            KEEP => Some(KEEP_CODE.to_owned()),
            ENTRY => Some(entry(&self.app)),
            other => self.module(other).map(|module| module.code.clone()),
        };
        ModuleLoadResponse::Sync(match code {
            Some(code) => {
                Ok(ModuleSource::new(ModuleType::JavaScript, ModuleSourceCode::String(code.into()), specifier, None))
            }
            None => Err(JsErrorBox::type_error(format!("the app has no module {specifier}"))),
        })
    }

    fn get_source_map(&self, file_name: &str) -> Option<Cow<'_, [u8]>> {
        self.module(file_name).map(|module| Cow::Borrowed(module.source_map.as_bytes()))
    }
}
