//! Random requests to an app: documents as lists of tokens, variables for them, and what the functions return.
//!
//! Most are valid, and whether one is need not be known here: the reference says.

use serde_json::{Map, Value, json};

use super::app::{App, Function, Of, Root, Slot, spoil};
use super::introspection;
use super::mistakes::mistake;
use super::random::{Choose, Random};

/// A request.
#[derive(Clone)]
pub struct Case {
    /// The document. Blanks stand between them.
    pub tokens: Vec<String>,
    /// Which of its operations.
    pub operation_name: Option<String>,
    /// By name.
    pub variables: Map<String, Value>,
    /// What each function returns or fails with.
    pub returns: Map<String, Value>,
}

impl Case {
    /// What both sides are asked.
    pub fn asked(&self) -> Value {
        json!({
            "query": self.tokens.join(" "), "operationName": self.operation_name, "variables": self.variables,
            "returns": self.returns,
        })
    }
}

/// What a selection set stands on.
#[derive(Clone, Copy)]
enum On<'a> {
    Root(Root),
    Object(usize),
    Union(usize),
    Introspection(&'a introspection::Object),
}

/// A variable of the document.
pub struct Variable {
    pub name: String,
    /// As GraphQL writes it.
    pub ty: String,
    /// The tokens of its default; none where it has no default.
    pub default: Vec<String>,
}

struct Fragment<'a> {
    name: String,
    on: String,
    selected: On<'a>,
    body: Vec<String>,
}

/// Writes a document.
pub struct Writer<'a, 'r> {
    pub app: &'a App,
    /// By enum: the values in GraphQL's spelling.
    pub enums: &'a Value,
    pub random: &'r mut Random,
    /// What is written so far.
    pub out: Vec<String>,
    pub variables: Vec<Variable>,
    /// The values of the variables.
    pub given: Map<String, Value>,
    fragments: Vec<Fragment<'a>>,
    aliases: usize,
}

/// Draws a request.
pub fn draw(app: &App, enums: &Value, random: &mut Random) -> Case {
    let mut writer = Writer {
        app,
        enums,
        random,
        out: Vec::new(),
        variables: Vec::new(),
        given: Map::new(),
        fragments: Vec::new(),
        aliases: 0,
    };
    let operation_name = writer.document();
    let Writer { out, given, random, .. } = writer;
    let mut case = Case { tokens: out, operation_name, variables: given, returns: Map::new() };
    if random.chance(25) {
        mistake(random, &mut case.tokens);
    }
    // Where a line ends matters to the places of errors.
    for token in &mut case.tokens {
        match random.below(40) {
            0 => token.push('\n'),
            1 => token.push(','),
            2 => token.push_str(" # é\r\n"),
            _ => {}
        }
    }
    for function in &app.functions {
        let mut value = app.value(random, &function.result, 0);
        if random.chance(25) {
            spoil(random, &mut value);
        }
        let returned = if random.chance(5) { json!({ "fail": "on purpose" }) } else { json!({ "value": value }) };
        case.returns.insert(function.name.clone(), returned);
    }
    case
}

impl<'a> Writer<'a, '_> {
    /// Writes tokens.
    pub fn push(&mut self, tokens: &[&str]) {
        self.out.extend(tokens.iter().map(|token| (*token).to_owned()));
    }

    /// Writes the document. Which operation is to run is what it gives.
    fn document(&mut self) -> Option<String> {
        let root = match self.random.below(10) {
            0..6 => Root::Query,
            6..9 => Root::Mutation,
            _ => Root::Subscription,
        };
        let (keyword, name) = (keyword(root), self.random.chance(60).then(|| "Asked".to_owned()));
        self.selections(On::Root(root), 0);
        let body = std::mem::take(&mut self.out);
        let variables = std::mem::take(&mut self.variables);
        if name.is_some() || !variables.is_empty() || root != Root::Query || self.random.chance(50) {
            self.describe();
            self.push(&[keyword]);
            self.out.extend(name.clone());
            self.definitions(&variables);
        }
        self.out.extend(body);
        let operation = std::mem::take(&mut self.out);
        let mut definitions = vec![operation];
        for fragment in std::mem::take(&mut self.fragments) {
            let head = ["fragment".to_owned(), fragment.name, "on".to_owned(), fragment.on];
            let body = head.into_iter().chain(fragment.body).collect();
            let place = self.random.between(0, definitions.len());
            definitions.insert(place, body);
        }
        let mut asked = if self.random.chance(10) { name.clone() } else { None };
        if name.is_some() && self.random.chance(10) {
            definitions.push(["query", "Other", "{", "__typename", "}"].map(str::to_owned).to_vec());
            asked = if self.random.chance(80) { name } else { None };
        }
        if self.random.chance(1) {
            asked = Some("Nobody".into());
        }
        self.out = definitions.concat();
        asked
    }

    fn describe(&mut self) {
        if self.random.chance(3) {
            self.push(&["\"About it.\""]);
        }
    }

    fn definitions(&mut self, variables: &[Variable]) {
        if variables.is_empty() {
            return;
        }
        self.push(&["("]);
        for Variable { name, ty, default } in variables {
            self.describe();
            self.push(&["$", name, ":"]);
            self.out.extend(types_tokens(ty));
            if !default.is_empty() {
                self.push(&["="]);
                self.out.extend(default.iter().cloned());
            }
        }
        self.push(&[")"]);
    }

    fn selections(&mut self, on: On<'a>, depth: usize) {
        self.push(&["{"]);
        let count = if depth > 5 { 1 } else { self.random.between(1, if depth == 0 { 4 } else { 3 }) };
        for _ in 0..count {
            match self.random.below(100) {
                0..10 => self.typename(),
                10..20 if depth < 5 => self.inline(on, depth),
                20..30 if depth < 5 => self.spread(on, depth),
                _ => self.field(on, depth),
            }
        }
        self.push(&["}"]);
    }

    fn typename(&mut self) {
        self.alias(5);
        self.push(&["__typename"]);
        self.conditions();
    }

    /// An alias that others may have too.
    fn alias(&mut self, percent: u64) {
        if self.random.chance(percent) {
            let alias = self.random.one_of(&["x", "y", "z", "w", "a", "id", "null", "on"]);
            self.push(&[alias, ":"]);
        }
    }

    fn conditions(&mut self) {
        while self.random.chance(8) {
            let directive = self.random.one_of(&["skip", "include"]);
            self.push(&["@", directive, "(", "if", ":"]);
            let slot = Slot { of: Of::Scalar("Boolean"), nullable: false, optional: false };
            self.value(&slot);
            self.push(&[")"]);
        }
    }

    fn inline(&mut self, on: On<'a>, depth: usize) {
        self.push(&["..."]);
        if self.random.chance(80) {
            let on = self.narrowed(on);
            let name = self.name_of(on);
            self.push(&["on", &name]);
            self.conditions();
            self.selections(on, depth + 1);
        } else {
            self.conditions();
            self.selections(on, depth + 1);
        }
    }

    fn spread(&mut self, on: On<'a>, depth: usize) {
        let on = self.narrowed(on);
        let name_of = self.name_of(on);
        let known = self.fragments.iter().filter(|known| known.on == name_of && !known.body.is_empty());
        let known: Vec<String> = known.map(|known| known.name.clone()).collect();
        let name = if !known.is_empty() && self.random.chance(60) {
            self.random.one_of_these(&known).clone()
        } else {
            let name = format!("F{}", self.fragments.len());
            self.fragments.push(Fragment { name: name.clone(), on: name_of, selected: on, body: Vec::new() });
            let place = self.fragments.len() - 1;
            let around = std::mem::take(&mut self.out);
            self.selections(self.fragments[place].selected, depth + 1);
            self.fragments[place].body = std::mem::replace(&mut self.out, around);
            name
        };
        self.push(&["...", &name]);
        self.conditions();
    }

    /// A type on which a fragment may stand here.
    fn narrowed(&mut self, on: On<'a>) -> On<'a> {
        let holds = |object: usize| {
            let unions = self.app.unions.iter().enumerate();
            unions.filter(move |(_, objects)| objects.contains(&object)).map(|(place, _)| On::Union(place))
        };
        let choices: Vec<On> = match on {
            On::Object(object) => holds(object).chain([on, on]).collect(),
            On::Union(union) => {
                let objects = &self.app.unions[union];
                objects
                    .iter()
                    .map(|object| On::Object(*object))
                    .chain(objects.iter().flat_map(|one| holds(*one)))
                    .collect()
            }
            _ => vec![on],
        };
        *self.random.one_of_these(&choices)
    }

    fn name_of(&self, on: On<'_>) -> String {
        match on {
            On::Root(Root::Query) => "Query".into(),
            On::Root(Root::Mutation) => "Mutation".into(),
            On::Root(Root::Subscription) => "Subscription".into(),
            On::Object(place) => format!("T{place}"),
            On::Union(place) => format!("U{place}"),
            On::Introspection(object) => object.name.into(),
        }
    }

    fn field(&mut self, on: On<'a>, depth: usize) {
        match on {
            On::Root(root) => self.root_field(root, depth),
            On::Union(union) => {
                let objects = &self.app.unions[union];
                let object = *self.random.one_of_these(objects);
                self.push(&["...", "on", &format!("T{object}")]);
                self.selections(On::Object(object), depth + 1);
            }
            On::Object(place) => {
                let members = self.app.selectable(place);
                let (name, slot) = *self.random.one_of_these(&members);
                self.alias(20);
                self.push(&[name]);
                self.conditions();
                if let Some(slot) = slot {
                    self.subfields(slot, depth);
                }
            }
            On::Introspection(object) => {
                let field = self.random.one_of_these(object.fields);
                self.alias(10);
                self.push(&[field.name]);
                if field.takes_deprecated && self.random.chance(30) {
                    self.push(&["(", "includeDeprecated", ":"]);
                    let slot = Slot { of: Of::Scalar("Boolean"), nullable: true, optional: false };
                    self.value(&slot);
                    self.push(&[")"]);
                }
                if let Some(inside) = introspection::object(field.of) {
                    self.selections(On::Introspection(inside), depth + 1);
                }
            }
        }
    }

    fn subfields(&mut self, slot: &Slot, depth: usize) {
        match slot.of.inside() {
            Of::Object(place) => self.selections(On::Object(*place), depth + 1),
            Of::Union(place) => self.selections(On::Union(*place), depth + 1),
            _ => {}
        }
    }

    /// A key of its own, mostly: two calls with different arguments cannot share one.
    fn own_alias(&mut self) {
        if self.random.chance(92) {
            self.aliases += 1;
            let alias = format!("r{}", self.aliases);
            self.push(&[&alias, ":"]);
        }
    }

    fn root_field(&mut self, root: Root, depth: usize) {
        if root == Root::Query && self.random.chance(12) {
            return self.introspect(depth);
        }
        let functions = self.app.at(root);
        let function = *self.random.one_of_these(&functions);
        match self.random.below(20) {
            0 => return self.invoke(function),
            1 if root == Root::Mutation => return self.batch(),
            _ => {}
        }
        if function.arguments.is_empty() {
            self.alias(20)
        } else {
            self.own_alias()
        }
        self.push(&[&function.name]);
        self.arguments(function);
        self.conditions();
        self.subfields(&function.result, depth);
    }

    fn arguments(&mut self, function: &Function) {
        let chosen: Vec<_> = function
            .arguments
            .iter()
            .filter(|argument| self.random.below(1_000) < if argument.slot.may_be_null() { 500 } else { 995 })
            .collect();
        if chosen.is_empty() {
            return;
        }
        self.push(&["("]);
        for argument in chosen {
            self.push(&[&argument.name, ":"]);
            self.value(&argument.slot);
        }
        self.push(&[")"]);
    }

    fn invoke(&mut self, function: &Function) {
        self.own_alias();
        let name = if self.random.chance(90) { function.name.as_str() } else { "nobody" };
        self.push(&["invoke", "(", "function", ":", &format!("{name:?}")]);
        if self.random.chance(60) {
            self.push(&["args", ":"]);
            self.value(&Slot { of: Of::Scalar("JSON"), nullable: true, optional: false });
        }
        self.push(&[")"]);
    }

    fn batch(&mut self) {
        self.own_alias();
        self.push(&["batch", "(", "calls", ":", "["]);
        for _ in 0..self.random.between(0, 2) {
            let functions = self.app.at(Root::Mutation);
            let function = *self.random.one_of_these(&functions);
            self.push(&["{", "function", ":", &format!("{:?}", function.name), "}"]);
        }
        self.push(&["]"]);
        if self.random.chance(50) {
            self.push(&["atomic", ":"]);
            self.value(&Slot { of: Of::Scalar("Boolean"), nullable: false, optional: false });
        }
        self.push(&[")", "{", "value", "error", "{", "code", "}", "}"]);
    }

    fn introspect(&mut self, depth: usize) {
        self.own_alias();
        if self.random.chance(50) {
            self.push(&["__schema"]);
            self.selections(On::Introspection(introspection::SCHEMA), depth + 1);
            return;
        }
        self.push(&["__type", "(", "name", ":"]);
        if self.random.chance(70) {
            let names = ["T0", "E0", "U0", "I0Input", "Query", "String", "Bytes", "__Type", "__TypeKind", "Nothing"];
            let name = self.random.one_of(&names);
            self.push(&[&format!("{name:?}")]);
        } else {
            self.value(&Slot { of: Of::Scalar("String"), nullable: false, optional: false });
        }
        self.push(&[")"]);
        self.selections(On::Introspection(introspection::TYPE), depth + 1);
    }
}

fn keyword(root: Root) -> &'static str {
    match root {
        Root::Query => "query",
        Root::Mutation => "mutation",
        Root::Subscription => "subscription",
    }
}

/// The tokens of a type.
fn types_tokens(ty: &str) -> Vec<String> {
    let spaced = ty.replace('[', "[ ").replace(']', " ]").replace('!', " !");
    spaced.split_whitespace().map(str::to_owned).collect()
}
