//! The Cedar schema of an app, made from what it declares.
//!
//! | entity type | what it is |
//! |---|---|
//! | `Anonymous`, `User`, `Service`, `Developer` | who calls |
//! | `Function` | what is called |
//! | `Order` | a document of the collection whose documents are `Order`; `UserDocument` where the name is taken |

use std::collections::BTreeMap;

use indexmap::IndexMap;
use serde_json::{Map, Value as Json, json};
use weir_schema::caller::{CallerSettings, ClaimType};
use weir_schema::declarations::{Collection, Declarations, Function};
use weir_schema::shape::{Member, object};

use super::action::Action;
use super::value::{Type, Val, type_of};

/// The kinds of callers, as entity types.
pub(super) const KINDS: [&str; 4] = ["Anonymous", "User", "Service", "Developer"];
/// The entity type of functions.
pub(super) const FUNCTION: &str = "Function";
/// What the name of a type of documents has behind it where it is taken by itself.
const SUFFIX: &str = "Document";
/// Names that Cedar keeps for itself.
const RESERVED: [&str; 18] = [
    "Action",
    "Bool",
    "Boolean",
    "Entity",
    "Extension",
    "Long",
    "Record",
    "Set",
    "String",
    "true",
    "false",
    "if",
    "then",
    "else",
    "in",
    "is",
    "like",
    "has",
];

/// The types of members, with whether each is always there.
pub(super) type Members = BTreeMap<String, (Type, bool)>;

/// What policies know of an app.
#[derive(Debug)]
pub(super) struct Model {
    /// The documents of each collection, by its name.
    pub(super) collections: IndexMap<String, DocumentType>,
    /// The arguments of each function, by its name; of an endpoint there are none.
    pub(super) functions: IndexMap<String, FunctionType>,
    /// The declared claims that policies can look at.
    pub(super) claims: BTreeMap<String, Claim>,
}

/// The documents of a collection.
#[derive(Debug)]
pub(super) struct DocumentType {
    /// The declared type.
    pub(super) name: String,
    /// The entity type.
    pub(super) entity: String,
    /// Those members that policies know.
    pub(super) members: Members,
    /// All members but the id, as declared.
    pub(super) fields: Vec<String>,
}

/// A claim, as it is declared and as policies have it.
#[derive(Debug)]
pub(super) struct Claim {
    declared: ClaimType,
    of: Type,
}

impl Claim {
    /// The value for policies; `None` for what is not of the declared type, which scripts have as null too: a job may have been
    /// scheduled under an earlier version of the app.
    pub(super) fn value(&self, json: &Json) -> Option<Val> {
        if self.declared.has(json) { self.of.value(json) } else { None }
    }
}

/// A function, as a resource and as what has arguments.
#[derive(Debug)]
pub(super) struct FunctionType {
    pub(super) kind: &'static str,
    pub(super) module: String,
    pub(super) arguments: Members,
}

impl Model {
    pub(super) fn of(declarations: &Declarations, caller: &CallerSettings) -> Self {
        let collections = declarations.collections.values();
        let collections = collections.map(|collection| (collection.name.clone(), documents(declarations, collection)));
        let functions = declarations.functions.values().map(|function| {
            let arguments = Type::members(&function.arguments, &declarations.definitions, 0);
            (function.name.clone(), function_type(function, function.kind.as_str(), arguments))
        });
        let endpoints = declarations.endpoints.iter().map(|endpoint| {
            let function = &endpoint.function;
            (function.name.clone(), function_type(function, "endpoint", Members::new()))
        });
        let claims = caller
            .claims
            .iter()
            .filter_map(|(name, of)| Some((name.clone(), Claim { declared: *of, of: claim(*of)? })));
        Self {
            collections: collections.collect(),
            functions: functions.chain(endpoints).collect(),
            claims: claims.collect(),
        }
    }

    /// Cedar's schema, in its JSON form. With the name of a function the arguments are those of its calls alone; otherwise
    /// they are all that some function takes, each optional, but for those that functions take with different types.
    pub(super) fn schema(&self, function: Option<&str>) -> Json {
        let kinds = KINDS.map(|kind| (kind.to_owned(), json!({ "shape": self.caller(kind) })));
        let string = || json!({ "type": "String", "required": true });
        let function_shape = record([("name", string()), ("kind", string()), ("module", string())]);
        let mut own: Map<String, Json> = kinds.into_iter().collect();
        own.insert(FUNCTION.to_owned(), json!({ "shape": function_shape }));
        for document in self.collections.values() {
            own.insert(document.entity.clone(), json!({ "shape": members(&document.members) }));
        }
        let documents: Vec<&str> = self.collections.values().map(|document| document.entity.as_str()).collect();
        let mut actions = Map::new();
        for action in Action::ALL {
            let mut context = vec![("function", string())];
            match action {
                Action::Call => {
                    let arguments = members(&self.arguments(function));
                    context.push(("args", required(arguments)));
                }
                Action::View => context.push(("field", string())),
                Action::Read | Action::Create | Action::Update | Action::Delete => {}
            }
            let resources = if action == Action::Call { vec![FUNCTION] } else { documents.clone() };
            let applies = json!({ "principalTypes": KINDS, "resourceTypes": resources, "context": record(context) });
            let parents: Vec<Json> = action.parent().iter().map(|parent| json!({ "id": parent.name() })).collect();
            actions.insert(action.name().to_owned(), json!({ "memberOf": parents, "appliesTo": applies }));
        }
        json!({ "": { "entityTypes": own, "actions": actions } })
    }

    fn caller(&self, kind: &str) -> Json {
        let strings = || required(json!({ "type": "Set", "element": { "type": "String" } }));
        let claims = self.claims.iter().map(|(name, claim)| (name.as_str(), optional(cedar(&claim.of))));
        let mut attributes = vec![("roles", strings()), ("scopes", strings()), ("claims", required(record(claims)))];
        if has_token(kind) {
            let string = || json!({ "type": "String", "required": true });
            attributes.extend([("subject", string()), ("issuer", string())]);
        }
        record(attributes)
    }

    fn arguments(&self, function: Option<&str>) -> Members {
        if let Some(function) = function.and_then(|name| self.functions.get(name)) {
            return function.arguments.clone();
        }
        let mut all: BTreeMap<String, Option<Type>> = BTreeMap::new();
        for (name, (of, _)) in self.functions.values().flat_map(|function| &function.arguments) {
            let known = all.entry(name.clone()).or_insert_with(|| Some(of.clone()));
            if known.as_ref() != Some(of) {
                *known = None;
            }
        }
        all.into_iter().filter_map(|(name, of)| Some((name, (of?, false)))).collect()
    }
}

/// Whether callers of a kind have shown a token.
pub(super) fn has_token(kind: &str) -> bool {
    matches!(kind, "User" | "Service")
}

fn documents(declarations: &Declarations, collection: &Collection) -> DocumentType {
    let definition = object(&declarations.definitions, &collection.document);
    let all: &[Member] = definition.map_or(&[], |definition| &definition.members);
    let fields = all.iter().map(|member| member.name.clone()).filter(|name| name != "id").collect();
    let members = all.iter().filter_map(|member| {
        let of = type_of(&member.slot, &declarations.definitions)?;
        Some((member.name.clone(), (of, !member.slot.may_be_null())))
    });
    let name = collection.document.clone();
    DocumentType { entity: entity_type(declarations, &name), name, members: members.collect(), fields }
}

/// The entity type of documents of a type.
fn entity_type(declarations: &Declarations, document: &str) -> String {
    let is_taken = |name: &str| KINDS.contains(&name) || name == FUNCTION || RESERVED.contains(&name);
    if !is_taken(document) {
        return document.to_owned();
    }
    let mut name = format!("{document}{SUFFIX}");
    while declarations.collections.values().any(|collection| collection.document == name) {
        name.push('_');
    }
    name
}

fn function_type(function: &Function, kind: &'static str, arguments: Members) -> FunctionType {
    FunctionType { kind, module: function.module.clone(), arguments }
}

fn claim(of: ClaimType) -> Option<Type> {
    match of {
        ClaimType::String => Some(Type::String),
        ClaimType::Int => Some(Type::Long),
        ClaimType::Boolean => Some(Type::Bool),
        ClaimType::Strings => Some(Type::Set(Box::new(Type::String))),
        ClaimType::Ints => Some(Type::Set(Box::new(Type::Long))),
        ClaimType::Float => None,
    }
}

fn cedar(of: &Type) -> Json {
    match of {
        Type::Bool => json!({ "type": "Boolean" }),
        Type::Long => json!({ "type": "Long" }),
        Type::String => json!({ "type": "String" }),
        Type::Set(element) => json!({ "type": "Set", "element": cedar(element) }),
        Type::Record(of) => members(of),
    }
}

fn members(of: &Members) -> Json {
    record(of.iter().map(|(name, (of, is_there))| {
        let of = cedar(of);
        (name.as_str(), if *is_there { required(of) } else { optional(of) })
    }))
}

fn record<'n>(attributes: impl IntoIterator<Item = (&'n str, Json)>) -> Json {
    let attributes: Map<String, Json> = attributes.into_iter().map(|(name, of)| (name.to_owned(), of)).collect();
    json!({ "type": "Record", "attributes": attributes })
}

fn required(of: Json) -> Json {
    with(of, true)
}

fn optional(of: Json) -> Json {
    with(of, false)
}

fn with(mut of: Json, is_required: bool) -> Json {
    if let Some(of) = of.as_object_mut() {
        of.insert("required".to_owned(), Json::Bool(is_required));
    }
    of
}
