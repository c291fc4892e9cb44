//! Random apps: types that nest and refer to each other, functions of all kinds over them.

use serde_json::{Map, Value, json};

use super::random::{Choose, Random};

/// The member that tells the objects of a union apart.
pub const DISCRIMINATOR: &str = "kind";

/// Names that members of many types have, so that selections of unions come to conflict.
const MEMBERS: [&str; 10] = ["a", "b", "c", "d", "id", "name", "type", "constructor", "on", "toString"];
const LITERALS: [&str; 12] =
    ["open", "fee-pool", "2xl", "nullable", "true_north", "falsey", "São Tomé", "A b", "on", "type", "fragment", "_"];
const SCALARS: [&str; 8] = ["String", "Boolean", "Int", "Float", "ID", "DateTime", "JSON", "Bytes"];

/// An app.
pub struct App {
    /// `T0` and so on: objects in results.
    pub objects: Vec<Object>,
    /// `I0` and so on: objects in arguments, named `I0Input` in GraphQL.
    pub inputs: Vec<Object>,
    /// `E0` and so on, in TypeScript's spelling.
    pub enums: Vec<Vec<&'static str>>,
    /// `U0` and so on: places of objects.
    pub unions: Vec<Vec<usize>>,
    /// What can be called.
    pub functions: Vec<Function>,
}

/// The members of an object.
pub struct Object {
    /// Without the discriminator, which results have besides.
    pub members: Vec<Member>,
}

/// A member of an object, or an argument.
pub struct Member {
    /// Its name.
    pub name: String,
    /// Its type.
    pub slot: Slot,
}

/// A type where it is used.
#[derive(Clone)]
pub struct Slot {
    /// The type itself.
    pub of: Of,
    /// `T | null`.
    pub nullable: bool,
    /// `member?: T`.
    pub optional: bool,
}

/// A type.
#[derive(Clone)]
pub enum Of {
    /// A scalar.
    Scalar(&'static str),
    /// One of the enums.
    Enum(usize),
    /// One of the objects.
    Object(usize),
    /// One of the inputs.
    Input(usize),
    /// One of the unions.
    Union(usize),
    /// A list of these.
    List(Box<Slot>),
}

/// Where a function stands.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Root {
    /// Reads.
    Query,
    /// Writes.
    Mutation,
    /// Streams alone: what is on Query can be subscribed to as well.
    Subscription,
}

/// A function.
pub struct Function {
    /// Its name.
    pub name: String,
    /// What makes it: `query`, `view`, `procedure`, `stream`.
    pub maker: &'static str,
    /// Where it stands.
    pub root: Root,
    /// Its arguments.
    pub arguments: Vec<Member>,
    /// What it returns.
    pub result: Slot,
}

impl Slot {
    /// Whether GraphQL writes it without `!`.
    pub fn may_be_null(&self) -> bool {
        self.nullable || self.optional || matches!(self.of, Of::Scalar("JSON"))
    }

    /// As GraphQL writes it.
    pub fn graphql(&self) -> String {
        format!("{}{}", self.of.graphql(), if self.may_be_null() { "" } else { "!" })
    }
}

impl Of {
    /// As GraphQL writes it, without `!`.
    pub fn graphql(&self) -> String {
        match self {
            Self::Scalar(name) => (*name).to_owned(),
            Self::Enum(place) => format!("E{place}"),
            Self::Object(place) => format!("T{place}"),
            Self::Input(place) => format!("I{place}Input"),
            Self::Union(place) => format!("U{place}"),
            Self::List(element) => format!("[{}]", element.graphql()),
        }
    }

    /// What is in its lists.
    pub fn inside(&self) -> &Self {
        match self {
            Self::List(element) => element.of.inside(),
            other => other,
        }
    }

    fn typescript(&self) -> String {
        match self {
            Self::Scalar("String") => "string".to_owned(),
            Self::Scalar("Boolean") => "boolean".to_owned(),
            Self::Input(place) => format!("I{place}"),
            Self::List(element) => format!("({})[]", element.typescript()),
            other => other.graphql(),
        }
    }
}

impl Slot {
    fn typescript(&self) -> String {
        format!("{}{}", self.of.typescript(), if self.nullable { " | null" } else { "" })
    }
}

fn signature(members: &[Member]) -> String {
    let member = |member: &Member| {
        let optional = if member.slot.optional { "?" } else { "" };
        format!("{}{optional}: {}", member.name, member.slot.typescript())
    };
    members.iter().map(member).collect::<Vec<_>>().join("; ")
}

/// What tells an object apart from others.
fn literal(place: usize) -> String {
    format!("t-{place}")
}

impl App {
    /// Draws an app.
    pub fn draw(random: &mut Random) -> Self {
        let enums = (0..2).map(|_| random.some_of(&LITERALS, 2)).collect();
        let mut app =
            Self { objects: Vec::new(), inputs: Vec::new(), enums, unions: Vec::new(), functions: Vec::new() };
        for _ in 0..random.between(3, 5) {
            let members = app.members(random, true, 2);
            app.objects.push(Object { members });
        }
        for _ in 0..2 {
            let all: Vec<usize> = (0..app.objects.len()).collect();
            app.unions.push(random.some_of(&all, 2));
        }
        app.add_references(random);
        for _ in 0..random.between(1, 3) {
            let members = app.members(random, false, 1);
            app.inputs.push(Object { members });
        }
        for (maker, root, count) in [
            ("query", Root::Query, 4),
            ("view", Root::Query, 1),
            ("procedure", Root::Mutation, 3),
            ("stream", Root::Subscription, 1),
        ] {
            for number in 0..count {
                let name = format!("{}{number}", maker.get(..1).unwrap());
                let arguments = if random.chance(60) { app.members(random, false, 1) } else { Vec::new() };
                let result = app.slot(random, true, 0);
                app.functions.push(Function { name, maker, root, arguments, result });
            }
        }
        app
    }

    fn members(&self, random: &mut Random, is_result: bool, least: usize) -> Vec<Member> {
        let most = if is_result { 5 } else { 3 };
        let names = random.some_of(&MEMBERS, least);
        let member = |name: &str| {
            let mut slot = self.slot(random, is_result, 0);
            slot.optional = random.chance(25);
            Member { name: name.to_owned(), slot }
        };
        names.into_iter().take(most).map(member).collect()
    }

    /// A type of what there is so far: so no object needs another of its own kind.
    fn slot(&self, random: &mut Random, is_result: bool, depth: usize) -> Slot {
        let count = if is_result { self.objects.len() } else { self.inputs.len() };
        let of = match random.below(10) {
            0..2 if depth < 2 => Of::List(Box::new(self.slot(random, is_result, depth + 1))),
            2..6 if count > 0 => {
                let place = random.between(0, count - 1);
                if !is_result {
                    Of::Input(place)
                } else if !self.unions.is_empty() && random.chance(40) {
                    Of::Union(random.between(0, self.unions.len() - 1))
                } else {
                    Of::Object(place)
                }
            }
            6..8 => Of::Enum(random.between(0, self.enums.len() - 1)),
            _ => Of::Scalar(random.one_of(&SCALARS)),
        };
        Slot { of, nullable: random.chance(35), optional: false }
    }

    /// Gives some objects a member that leads to a union or to an object behind them.
    fn add_references(&mut self, random: &mut Random) {
        for place in 0..self.objects.len() {
            if !random.chance(60) {
                continue;
            }
            let of = if random.chance(60) {
                Of::Union(random.between(0, self.unions.len() - 1))
            } else {
                Of::Object(random.between(0, self.objects.len() - 1))
            };
            let element = Slot { of, nullable: random.chance(40), optional: false };
            let slot = if random.chance(50) {
                Slot { of: Of::List(Box::new(element)), nullable: random.chance(30), optional: false }
            } else {
                Slot { nullable: true, ..element }
            };
            let name = random.one_of(&["x", "y"]).to_owned();
            self.objects[place].members.push(Member { name, slot });
        }
    }

    /// The members of an object in results, the discriminator first.
    pub fn selectable(&self, place: usize) -> Vec<(&str, Option<&Slot>)> {
        let own = self.objects[place].members.iter().map(|member| (member.name.as_str(), Some(&member.slot)));
        [(DISCRIMINATOR, None)].into_iter().chain(own).collect()
    }

    /// The functions at a root.
    pub fn at(&self, root: Root) -> Vec<&Function> {
        let stands = |function: &&Function| {
            function.root == root || (root == Root::Subscription && function.root == Root::Query)
        };
        self.functions.iter().filter(stands).collect()
    }

    /// As TypeScript. `body` is what a function returns.
    pub fn typescript(&self, body: impl Fn(&Function) -> String) -> String {
        let mut text =
            "import { query, view, procedure, stream, fail, type ID, type Int, type Float, type DateTime, type JSON, \
                        type Bytes } from \"weir\";\n"
                .to_owned();
        for (place, values) in self.enums.iter().enumerate() {
            let values: Vec<String> = values.iter().map(|value| format!("{value:?}")).collect();
            text.push_str(&format!("/** Enum {place}. */\nexport type E{place} = {};\n", values.join(" | ")));
        }
        for (place, object) in self.objects.iter().enumerate() {
            let (kind, members) = (literal(place), signature(&object.members));
            text.push_str(&format!("export interface T{place} {{ {DISCRIMINATOR}: {kind:?}; {members} }}\n"));
        }
        for (place, objects) in self.unions.iter().enumerate() {
            let objects: Vec<String> = objects.iter().map(|object| format!("T{object}")).collect();
            text.push_str(&format!("export type U{place} = {};\n", objects.join(" | ")));
        }
        for (place, input) in self.inputs.iter().enumerate() {
            text.push_str(&format!("/**\n * Input {place}.\n *\n * \"Quoted\" \\ and so on.\n */\n"));
            text.push_str(&format!("export interface I{place} {{ {} }}\n", signature(&input.members)));
        }
        for function in &self.functions {
            let arguments = match function.arguments.as_slice() {
                [] => String::new(),
                arguments => format!("args: {{ {} }}", signature(arguments)),
            };
            let (maker, name, result) = (function.maker, &function.name, function.result.typescript());
            let (head, result) = match maker {
                "stream" => (format!("async function* ({arguments})"), format!("AsyncGenerator<{result}>")),
                _ => (format!("({arguments})"), result),
            };
            let arrow = if maker == "stream" { "" } else { " =>" };
            text.push_str(&format!(
                "export const {name} = {maker}({head}: {result}{arrow} {{ {} }});\n",
                body(function)
            ));
        }
        text
    }

    /// What tells each object apart, by its name.
    pub fn literals(&self) -> Value {
        (0..self.objects.len()).map(|place| (format!("T{place}"), json!(literal(place)))).collect::<Map<_, _>>().into()
    }

    /// A value that is right, in TypeScript's spelling.
    pub fn value(&self, random: &mut Random, slot: &Slot, depth: usize) -> Value {
        if slot.may_be_null() && random.chance(if depth > 4 { 90 } else { 20 }) {
            return Value::Null;
        }
        match &slot.of {
            Of::Scalar(name) => scalar(random, name),
            Of::Enum(place) => json!(random.one_of(&self.enums[*place])),
            Of::Object(place) => self.object_value(random, *place, depth),
            Of::Union(place) => {
                let object = *random.one_of_these(&self.unions[*place]);
                self.object_value(random, object, depth)
            }
            Of::Input(_) => panic!("no result is an input"),
            Of::List(element) => {
                let count = if depth > 4 { 0 } else { random.between(0, 3) };
                (0..count).map(|_| self.value(random, element, depth + 1)).collect()
            }
        }
    }

    fn object_value(&self, random: &mut Random, place: usize, depth: usize) -> Value {
        let mut value = Map::from_iter([(DISCRIMINATOR.to_owned(), json!(literal(place)))]);
        for member in &self.objects[place].members {
            if !(member.slot.optional && random.chance(30)) {
                value.insert(member.name.clone(), self.value(random, &member.slot, depth + 1));
            }
        }
        Value::Object(value)
    }
}

/// A value of a scalar.
pub fn scalar(random: &mut Random, name: &str) -> Value {
    let choices = match name {
        "String" => json!(["", "é😀", "a\n\"b\"\\", "x"]),
        "Boolean" => json!([true, false]),
        "Int" => json!([0, -1, 7, i32::MAX, i32::MIN]),
        "Float" => json!([1.5, -0.25, 3, 1e30, 5e-7]),
        "ID" => json!(["x1", "a-b", "7"]),
        "DateTime" => json!(["2026-01-31T08:00:00.000Z"]),
        "Bytes" => json!(["AA==", ""]),
        _ => json!([1, "text", { "a": [null, { "b": 1.5 }] }, [], false]),
    };
    random.one_of_these(choices.as_array().unwrap()).clone()
}

/// Makes one place of a value wrong, or not.
pub fn spoil(random: &mut Random, value: &mut Value) {
    match value {
        Value::Array(values) if !values.is_empty() && random.chance(85) => {
            let place = random.between(0, values.len() - 1);
            spoil(random, &mut values[place]);
        }
        Value::Object(members) if !members.is_empty() && random.chance(85) => {
            let place = random.between(0, members.len() - 1);
            let name = members.keys().nth(place).unwrap().clone();
            if random.chance(10) {
                members.shift_remove(&name);
            } else {
                spoil(random, &mut members[&name]);
            }
        }
        other => {
            let wrong =
                json!([null, null, null, "wrong", 2.5, 3_000_000_000_u64, true, [], {}, [null], { "kind": "else" }]);
            *other = random.one_of_these(wrong.as_array().unwrap()).clone();
        }
    }
}
