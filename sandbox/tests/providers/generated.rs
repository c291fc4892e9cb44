//! Made up modules: erasing their types leaves what JavaScript without them does.

use std::collections::BTreeMap;
use std::sync::Arc;

use proptest::prelude::*;
use proptest::test_runner::Config;
use weir_sandbox::compile::{Sources, TRANSPILERS, compile};
use weir_schema::manifest::Transpiler;

use crate::expression::{Expression, Language, expressions};
use crate::outcomes;

/// How many modules, and how many expressions in each.
const MODULES: u32 = 24;
const EXPRESSIONS: usize = 40;

/// A module that returns what each expression gives or throws.
fn module(expressions: &[Expression], language: Language) -> String {
    let (head, result, any) = match language {
        Language::TypeScript => ("import { query, type JSON as Json } from \"weir\";", "(): Json", ": any"),
        Language::JavaScript => ("import { query } from \"weir\";", "()", ""),
    };
    let mut text = format!(
        "{head}
const shown = (value{any}, depth{any} = 0){any} => {{
  if (typeof value === 'object' && value !== null && !(value instanceof RegExp) && depth < 4) {{
    return Object.entries(value).map(([key, member]) => [key, shown(member, depth + 1)]);
  }}
  if (typeof value === 'function' && depth < 4) {{
    try {{ return ['function', shown(value(), depth + 1)]; }} catch (error{any}) {{ return ['throws', error?.name ?? 'nothing']; }}
  }}
  return typeof value + (Object.is(value, -0) ? '-0' : typeof value === 'function' ? '' : String(value));
}};
export const all = query({result} => {{
  const h = (made{any}){any} => Object.defineProperty(made, 'toString', {{ value: () => 'function' }});
  const f{any} = h(function (value{any}) {{ return value; }});
  const a{any} = 3, n{any} = null, o{any} = {{ x: {{ p: 1, x: n }}, p: f }};
  return [
"
    );
    for expression in expressions {
        text += &format!("    () => {{ return {}; }},\n", expression.text(language));
    }
    text + "  ].map((one) => shown(one));\n});\n"
}

fn outcome(code: &str, transpiler: Transpiler) -> String {
    let manifest = format!("name = \"t\"\nversion = \"1.0.0\"\ntranspiler = \"{}\"", transpiler.as_str());
    let files = [("app.toml", manifest), ("functions/t.ts", code.to_owned())];
    let app = compile(&Sources::from_texts(files.map(|(path, text)| (path.to_owned(), text))));
    let app = app.unwrap_or_else(|diagnostics| panic!("{}: {:#?}\n{code}", transpiler.as_str(), diagnostics));
    outcomes::of(app, &BTreeMap::new(), &Arc::default())
}

/// The same module as JavaScript, untouched by any transpiler.
fn outcome_of_javascript(typescript: &str, javascript: String) -> String {
    let files = [("app.toml", "name = \"t\"\nversion = \"1.0.0\""), ("functions/t.ts", typescript)];
    let mut app = compile(&Sources::from_texts(files.map(|(path, text)| (path.to_owned(), text.to_owned()))))
        .unwrap_or_else(|diagnostics| panic!("{diagnostics:#?}\n{typescript}"));
    app.modules[0].code = javascript;
    outcomes::of(app, &BTreeMap::new(), &Arc::default())
}

proptest! {
    #![proptest_config(Config { cases: MODULES, failure_persistence: None, ..Config::default() })]

    #[test]
    fn erasing_types_changes_nothing_else(expressions in prop::collection::vec(expressions(), EXPRESSIONS)) {
        let typescript = module(&expressions, Language::TypeScript);
        let javascript = module(&expressions, Language::JavaScript);
        let expected = outcome_of_javascript(&typescript, javascript);
        for transpiler in TRANSPILERS {
            prop_assert_eq!(outcome(&typescript, *transpiler), expected.as_str(), "{}", typescript);
        }
    }
}
