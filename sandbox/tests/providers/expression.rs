//! Made up expressions, each written twice: with types, and as the JavaScript that is left of it.
//!
//! Both are printed with no more parentheses than their own precedence needs, so that a transpiler has to put in those
//! that the types made superfluous.

use proptest::prelude::*;

/// An expression. Its names are `a`, `n`, `o`, `f` and `h`, which [`crate::generated`] declares.
#[derive(Debug, Clone)]
pub enum Expression {
    /// A literal or a name.
    Atom(&'static str),
    /// `-x`, `typeof x`.
    Unary(&'static str, Box<Expression>),
    /// `x + y`, `x ?? y`, `x, y`.
    Binary(&'static str, Box<Expression>, Box<Expression>),
    /// `x ? y : z`.
    Conditional(Box<[Expression; 3]>),
    /// `[x, ...y]`.
    Array(Vec<Expression>),
    /// `{ p: x }`.
    Object(Box<Expression>),
    /// A template with one value.
    Template(Box<Expression>),
    /// `x.p`, `x?.p`.
    Member(Box<Expression>, &'static str),
    /// `x(y)`, `x?.(y)`.
    Call(Box<Expression>, &'static str, Box<Expression>),
    /// `new x(y)`.
    New(Box<Expression>, Box<Expression>),
    /// `h(() => x)`: without `h`, the text of the function would show how it is printed.
    Arrow(Box<Expression>),
    /// `x as T`, `x satisfies T`.
    As(Box<Expression>, &'static str),
    /// `<T>x`.
    Angle(&'static str, Box<Expression>),
    /// `x!`.
    NonNull(Box<Expression>),
}

/// Which of the two texts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Language {
    TypeScript,
    JavaScript,
}

use Expression::*;

/// How tightly parts of an expression hold together, loosest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Binding {
    Comma,
    Assignment,
    Conditional,
    Logical,
    Equality,
    Relation,
    Sum,
    Product,
    Power,
    Unary,
    Call,
    Primary,
}

fn of_operator(operator: &str) -> Binding {
    match operator {
        "," => Binding::Comma,
        "||" | "&&" | "??" => Binding::Logical,
        "===" | "!=" => Binding::Equality,
        "<" | ">" | "instanceof" | "in" => Binding::Relation,
        "+" | "-" => Binding::Sum,
        "*" | "/" => Binding::Product,
        "**" => Binding::Power,
        other => unreachable!("{other}"),
    }
}

impl Expression {
    fn binding(&self) -> Binding {
        match self {
            Atom(_) | Array(_) | Object(_) | Template(_) => Binding::Primary,
            Member(..) | Call(..) | New(..) | Arrow(_) | NonNull(_) => Binding::Call,
            Unary(..) | Angle(..) => Binding::Unary,
            Binary(operator, ..) => of_operator(operator),
            As(..) => Binding::Relation,
            Conditional(_) => Binding::Conditional,
        }
    }

    /// What is left of an expression without the types around it, and whether one of them ended an optional chain.
    fn strip(&self) -> (&Self, Chain) {
        match self {
            As(inner, _) | Angle(_, inner) => (inner.strip().0, Chain::Ended),
            NonNull(inner) => inner.strip(),
            other => (other, Chain::Open),
        }
    }

    /// Whether it is an optional chain, as far as JavaScript sees.
    fn is_chain(&self) -> bool {
        match self {
            Member(object, access) => access.starts_with('?') || object.goes_on(),
            Call(callee, access, _) => access.starts_with('?') || callee.goes_on(),
            NonNull(inner) => inner.is_chain(),
            _ => false,
        }
    }

    /// Whether a chain goes on after it.
    fn goes_on(&self) -> bool {
        let (inner, chain) = self.strip();
        chain == Chain::Open && inner.is_chain()
    }

    /// The text in a language.
    pub fn text(&self, language: Language) -> String {
        let part = |part: &Self, least: Binding| part.within(language, least);
        if language == Language::JavaScript && matches!(self, As(..) | Angle(..) | NonNull(_)) {
            return self.strip().0.text(language);
        }
        match self {
            Atom(text) => (*text).to_owned(),
            Unary(operator, operand) => format!("{operator} {}", part(operand, Binding::Unary)),
            Binary(operator, left, right) => {
                let binding = of_operator(operator);
                let tighter = Binding::ALL[binding as usize + 1];
                // Mixed with each other, logical operators need parentheses. A type before `<` would take it as its own.
                let (least_left, least_right) = match *operator {
                    "**" => (Binding::Call, Binding::Power),
                    "," => (Binding::Comma, tighter),
                    "||" | "&&" | "??" | "<" | ">" | "instanceof" | "in" => (tighter, tighter),
                    _ => (binding, tighter),
                };
                format!("{} {operator} {}", part(left, least_left), part(right, least_right))
            }
            Conditional(parts) => {
                let [test, yes, no] = parts.as_ref();
                // oxc takes the `?` of `x as any ? /r/ : y` for a part of the type.
                let (test, yes) = (part(test, Binding::Sum), part(yes, Binding::Assignment));
                format!("{test} ? {yes} : {}", part(no, Binding::Assignment))
            }
            Array(elements) => {
                let elements: Vec<String> = elements.iter().map(|one| part(one, Binding::Assignment)).collect();
                format!("[{}]", elements.join(", "))
            }
            Object(value) => format!("{{ p: {} }}", part(value, Binding::Assignment)),
            Template(value) => format!("`<${{{}}}>`", part(value, Binding::Comma)),
            Member(object, access) => format!("{}{access}", object.as_object(language)),
            Call(callee, access, argument) => {
                let argument = part(argument, Binding::Assignment);
                format!("{}{access}({argument})", callee.as_object(language))
            }
            New(class, argument) => {
                let argument = part(argument, Binding::Assignment);
                format!("new {}({argument})", part(class, Binding::Primary))
            }
            Arrow(body) => {
                let body = part(body, Binding::Assignment);
                if body.starts_with('{') { format!("h(() => ({body}))") } else { format!("h(() => {body})") }
            }
            As(inner, kind) => format!("{} {kind}", part(inner, Binding::Relation)),
            Angle(kind, inner) => format!("<{kind}>{}", part(inner, Binding::Unary)),
            NonNull(inner) => format!("{}!", inner.as_object(language)),
        }
    }

    /// Before `.p`, `(x)` or `!`.
    fn as_object(&self, language: Language) -> String {
        let (inner, chain) = self.strip();
        let text = self.within(language, Binding::Call);
        if language == Language::JavaScript && chain == Chain::Ended && inner.is_chain() {
            format!("({text})")
        } else {
            text
        }
    }

    fn within(&self, language: Language, least: Binding) -> String {
        let shown = if language == Language::JavaScript { self.strip().0 } else { self };
        let text = shown.text(language);
        if shown.binding() < least { format!("({text})") } else { text }
    }
}

impl Binding {
    const ALL: [Self; 12] = [
        Self::Comma,
        Self::Assignment,
        Self::Conditional,
        Self::Logical,
        Self::Equality,
        Self::Relation,
        Self::Sum,
        Self::Product,
        Self::Power,
        Self::Unary,
        Self::Call,
        Self::Primary,
    ];
}

/// Whether an optional chain goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Chain {
    Open,
    Ended,
}

/// Made up expressions.
pub fn expressions() -> impl Strategy<Value = Expression> {
    let atoms =
        ["0x0", "1.0", ".5", "2n", "'s'", "true", "null", "void 0", "a", "n", "o", "o.x", "f", "{}", "/r/g", "this"];
    let leaf = prop::sample::select(atoms.to_vec()).prop_map(|text| match text {
        "void 0" => Unary("void", Box::new(Atom("0x0"))),
        "o.x" => Member(Box::new(Atom("o")), ".x"),
        text => Atom(text),
    });
    leaf.prop_recursive(6, 40, 3, |inner| {
        let one = inner.clone().prop_map(Box::new);
        let unary = prop::sample::select(&["-", "!", "typeof", "void", "+"][..]);
        let binary = [",", "||", "&&", "??", "===", "!=", "<", ">", "in", "instanceof", "+", "-", "*", "/", "**"];
        let binary = prop::sample::select(binary.to_vec());
        let access = prop::sample::select(&[".p", ".x", "?.p", "?.x", "['x']", "?.['p']", ".length"][..]);
        let calls = prop::sample::select(&["", "?."][..]);
        let kinds = ["as any", "as number", "as unknown", "satisfies any", "as string[]", "as { p: any }", "as (() => any)"];
        let kinds = prop::sample::select(kinds.to_vec());
        let angles = prop::sample::select(&["any", "number", "string | null", "Array<Array<number>>"][..]);
        prop_oneof![
            1 => (unary, one.clone()).prop_map(|(operator, operand)| Unary(operator, operand)),
            3 => (binary, one.clone(), one.clone()).prop_map(|(operator, left, right)| Binary(operator, left, right)),
            1 => [inner.clone(), inner.clone(), inner.clone()].prop_map(|parts| Conditional(Box::new(parts))),
            1 => prop::collection::vec(inner.clone(), 0..3).prop_map(Array),
            1 => one.clone().prop_map(Object),
            1 => one.clone().prop_map(Template),
            3 => (one.clone(), access).prop_map(|(object, access)| Member(object, access)),
            2 => (one.clone(), calls, one.clone()).prop_map(|(callee, access, argument)| Call(callee, access, argument)),
            1 => (one.clone(), one.clone()).prop_map(|(class, argument)| New(class, argument)),
            2 => one.clone().prop_map(Arrow),
            4 => (one.clone(), kinds).prop_map(|(inner, kind)| As(inner, kind)),
            2 => (angles, one.clone()).prop_map(|(kind, inner)| Angle(kind, inner)),
            3 => one.prop_map(NonNull),
        ]
    })
}
