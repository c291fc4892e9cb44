//! What a function's results depend on besides the data: its code, by a digest that is the same in every process.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde_json::Value;
use weir_sandbox::App;
use weir_schema::declarations::{Function, FunctionKind};
use weir_schema::digest::Digest;

/// Another one where what is kept could not be read by who comes after.
const FORMAT: &str = "weir views 1";

/// A digest for each function of an app, in the order of declaration.
///
/// It covers the module of the function with all that it imports, its declaration with all types and collections that this
/// names, those of all views, which say what its calls of views give, the limits of calls, the claims that the app declares, and what of Weir
/// runs in the isolate.
/// So a change elsewhere in the app leaves it as it is.
pub(crate) fn digests(app: &App) -> Vec<Digest> {
    let (limits, caller) = (text(&app.manifest.limits), text(&app.manifest.caller));
    let modules: HashMap<&str, &weir_sandbox::app::Module> =
        app.modules.iter().map(|module| (module.path.as_str(), module)).collect();
    let named = Named::of(app);
    let views = app.declarations.functions.values().filter(|function| function.kind == FunctionKind::View);
    // What they take and give.
    let signature = |view: &Function| Function { keep: None, groups: None, index: None, ..view.clone() };
    let views = text(&views.map(|view| named.around(&signature(view))).collect::<Vec<_>>());
    let weir = weir_sandbox::isolate::snapshot_digest().to_string();
    let digest = |function: &Function| {
        let declared = text(&named.around(function));
        let mut parts = vec![FORMAT, env!("CARGO_PKG_VERSION"), &weir, &limits, &caller, &views, &declared];
        for path in imported(&modules, &function.module) {
            parts.extend(modules.get(path).map(|module| [path, module.code.as_str()]).into_iter().flatten());
        }
        Digest::of_parts(&parts.iter().map(|part| part.as_bytes()).collect::<Vec<_>>())
    };
    app.declarations.functions.values().map(digest).collect()
}

/// A module and all that it imports, directly or not.
fn imported<'a>(modules: &HashMap<&'a str, &'a weir_sandbox::app::Module>, module: &'a str) -> BTreeSet<&'a str> {
    let mut all = BTreeSet::new();
    let mut pending = vec![module];
    while let Some(path) = pending.pop() {
        if all.insert(path)
            && let Some(module) = modules.get(path)
        {
            pending.extend(module.imports.iter().map(|(_, path)| path.as_str()));
        }
    }
    all
}

/// Types and collections by their names.
struct Named(HashMap<String, Vec<Value>>);

impl Named {
    fn of(app: &App) -> Self {
        let mut named: HashMap<String, Vec<Value>> = HashMap::new();
        let (definitions, collections) = (&app.declarations.definitions, &app.declarations.collections);
        let definitions = definitions.iter().map(|(name, definition)| (name, value(definition)));
        let collections = collections.iter().map(|(name, collection)| (name, value(collection)));
        for (name, value) in definitions.chain(collections) {
            named.entry(name.clone()).or_default().push(value);
        }
        Self(named)
    }

    /// A function's declaration, and all that it names, directly or not. Whatever text equals a name counts as one.
    fn around(&self, function: &Function) -> BTreeMap<String, Vec<Value>> {
        let mut all = BTreeMap::from([(String::new(), vec![declaration(function)])]);
        let mut pending = vec![declaration(function)];
        while let Some(value) = pending.pop() {
            match value {
                Value::String(text) => {
                    if let Some(found) = self.0.get(&text)
                        && !all.contains_key(&text)
                    {
                        pending.extend(found.iter().cloned());
                        all.insert(text, found.clone());
                    }
                }
                Value::Array(values) => pending.extend(values),
                Value::Object(members) => pending.extend(members.into_iter().map(|(_, value)| value)),
                Value::Null | Value::Bool(_) | Value::Number(_) => {}
            }
        }
        all
    }
}

/// A function's declaration, but for what only people read.
fn declaration(function: &Function) -> Value {
    value(&Function { line: 0, description: None, ..function.clone() })
}

/// Declarations are plain data, which always has a JSON form.
fn value(declared: &impl serde::Serialize) -> Value {
    serde_json::to_value(declared).unwrap_or_default()
}

fn text(declared: &impl serde::Serialize) -> String {
    serde_json::to_string(declared).unwrap_or_default()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic, reason = "tests")]
mod tests {
    use weir_sandbox::compile::{Sources, compile};

    use super::*;

    const COLLECTIONS: &str = "import { collection, type Float } from \"weir\";\n\
        export interface Order { day: string; total: Float }\nexport const orders = collection<Order>({ index: [\"day\"] });\n";
    const HELPER: &str = "export const twice = (n: number): number => 2 * n;\n";
    const VIEWS: &str = "import { count, view } from \"weir\";\nimport { orders } from \"../collections\";\n\
        import { twice } from \"../helper\";\nexport const byDay = view.groupBy(orders, (o) => o.day, { n: count() });\n\
        export const size = view((): number => twice(orders.all().length));\n";
    const OTHER: &str = "import { view } from \"weir\";\nexport const one = view((): number => 1);\n";

    fn digests_of(changes: &[(&str, &str, &str)]) -> BTreeMap<String, Digest> {
        let texts = [
            ("app.toml", "name = \"test\"\nversion = \"1.0.0\"\n"),
            ("collections.ts", COLLECTIONS),
            ("helper.ts", HELPER),
            ("functions/views.ts", VIEWS),
            ("functions/other.ts", OTHER),
        ];
        let texts = texts.map(|(path, text)| {
            let changed = changes.iter().filter(|(of, ..)| *of == path);
            let text = changed.fold(text.to_owned(), |text, (_, before, after)| {
                assert!(text.contains(before), "{before} in {path}");
                text.replace(before, after)
            });
            (path.to_owned(), text)
        });
        let app = compile(&Sources::from_texts(texts)).unwrap_or_else(|mistakes| panic!("{mistakes:#?}"));
        app.declarations.functions.keys().cloned().zip(digests(&app)).collect()
    }

    #[test]
    fn a_digest_changes_with_what_the_function_depends_on_and_with_nothing_else() {
        let before = digests_of(&[]);
        assert_eq!(before, digests_of(&[]));
        let changed = |change: (&str, &str, &str)| {
            let after = digests_of(&[change]);
            before
                .iter()
                .filter(|(name, digest)| after[*name] != **digest)
                .map(|(name, _)| name.clone())
                .collect::<Vec<_>>()
        };
        assert_eq!(changed(("app.toml", "1.0.0", "1.0.1")), [""; 0]);
        assert_eq!(changed(("functions/other.ts", "=> 1", "=> 2")), ["one"]);
        assert_eq!(changed(("functions/other.ts", "\n", "\n\n/** Told to people. */\n")), [""; 0]);
        let narrower = changed(("functions/other.ts", "(): number => 1", "(): number | null => 1"));
        assert_eq!(narrower, ["byDay", "one", "size"], "what a view gives is part of who may call it");
        assert_eq!(changed(("helper.ts", "2 * n", "3 * n")), ["byDay", "size"]);
        assert_eq!(changed(("collections.ts", "day: string", "note?: string; day: string")), ["byDay"]);
        assert_eq!(
            changed(("app.toml", "1.0.0\"\n", "1.0.0\"\n[limits]\nresult_bytes = 10\n")),
            ["byDay", "one", "size"]
        );
        assert_eq!(
            changed(("app.toml", "1.0.0\"\n", "1.0.0\"\n[caller]\nclaims = { org = \"string\" }\n")),
            ["byDay", "one", "size"],
            "what is kept names claims by their places"
        );
    }
}
