//! A document's text to its syntax tree, to the letter of
//! <https://spec.graphql.org/draft/#sec-Appendix-Grammar-Summary>.
//!
//! The tree is async-graphql's, its parser is not: that one refuses values of enums that begin with `true`, `false` or
//! `null`, spaces in types (`[ ID! ]`), defaults before directives, descriptions and `\u{…}`, panics on halves of surrogate pairs, and takes
//! `queryName { … }`, `()`, fragments named `on` and one member of an object twice.
//!
//! Recursion is on brackets alone, whose depth [`super::scan::text`] has bounded.

#[cfg(test)]
mod tests;
mod tokens;

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use async_graphql::parser::types::{
    BaseType, Directive, DocumentOperations, ExecutableDocument, Field, FragmentDefinition, FragmentSpread,
    InlineFragment, OperationDefinition, OperationType, Selection, SelectionSet, Type, TypeCondition,
    VariableDefinition,
};
use async_graphql::{Name, Pos, Positioned};
use async_graphql_value::Value;
use indexmap::IndexMap;
use weir_schema::error::ErrorCode;

use super::GraphqlError;
use super::document::location;
use tokens::{Token, Tokens};

/// What is wrong with a text, and where.
#[derive(Debug)]
pub struct SyntaxError {
    message: String,
    at: Pos,
}

impl SyntaxError {
    fn new(message: impl Into<String>, at: Pos) -> Self {
        Self { message: message.into(), at }
    }
}

impl From<SyntaxError> for GraphqlError {
    fn from(error: SyntaxError) -> Self {
        let message = format!("Syntax error: {}", error.message);
        Self::new(ErrorCode::GraphqlParseFailed, message).at(location(error.at))
    }
}

/// Parses a document. What the tree has no room for is refused here: two operations or fragments of one name, an operation
/// without a name beside others, a member of an object twice.
pub fn parse(text: &str) -> Result<ExecutableDocument, GraphqlError> {
    let mut tokens = Tokens::of(text);
    let (token, at) = tokens.next()?;
    let mut parser = Parser { tokens, token, at, refused: None };
    let document = parser.document()?;
    parser.refused.map_or(Ok(document), Err)
}

/// Whether variables may stand in values.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Values {
    Constant,
    Any,
}

struct Parser<'t> {
    tokens: Tokens<'t>,
    /// The token at hand.
    token: Token<'t>,
    at: Pos,
    /// The first thing that the tree has no room for.
    refused: Option<GraphqlError>,
}

type Parsed<T> = Result<T, SyntaxError>;

impl<'t> Parser<'t> {
    fn advance(&mut self) -> Parsed<Token<'t>> {
        let (token, at) = self.tokens.next()?;
        self.at = at;
        Ok(std::mem::replace(&mut self.token, token))
    }

    fn expected<T>(&self, what: &str) -> Parsed<T> {
        Err(SyntaxError::new(format!("expected {what}, found {}", self.token.describe()), self.at))
    }

    fn is(&self, punctuator: char) -> bool {
        self.token == Token::Punctuator(punctuator)
    }

    /// Takes a punctuator if it stands here.
    fn takes(&mut self, punctuator: char) -> Parsed<bool> {
        let is = self.is(punctuator);
        if is {
            self.advance()?;
        }
        Ok(is)
    }

    fn expect(&mut self, punctuator: char) -> Parsed<Pos> {
        let at = self.at;
        if self.takes(punctuator)? { Ok(at) } else { self.expected(&format!("`{punctuator}`")) }
    }

    /// One or more items between two punctuators.
    fn many<T>(&mut self, open: char, close: char, mut item: impl FnMut(&mut Self) -> Parsed<T>) -> Parsed<Vec<T>> {
        self.expect(open)?;
        let mut items = vec![item(self)?];
        while !self.takes(close)? {
            items.push(item(self)?);
        }
        Ok(items)
    }

    /// The same, or nothing at all.
    fn optional_many<T>(
        &mut self,
        open: char,
        close: char,
        item: impl FnMut(&mut Self) -> Parsed<T>,
    ) -> Parsed<Vec<T>> {
        if self.is(open) { self.many(open, close, item) } else { Ok(Vec::new()) }
    }

    fn name(&mut self, what: &str) -> Parsed<Positioned<Name>> {
        let (at, Token::Name(name)) = (self.at, &self.token) else { return self.expected(what) };
        let name = Positioned::new(Name::new(name), at);
        self.advance()?;
        Ok(name)
    }

    /// Takes a description if one stands here.
    fn describes(&mut self) -> Parsed<bool> {
        let describes = matches!(self.token, Token::String(_));
        if describes {
            self.advance()?;
        }
        Ok(describes)
    }

    fn refuse(&mut self, message: String, at: &[Pos]) {
        let error = GraphqlError::new(ErrorCode::GraphqlValidationFailed, message);
        let error = at.iter().fold(error, |error, at| error.at(location(*at)));
        self.refused.get_or_insert(error);
    }

    fn document(&mut self) -> Parsed<ExecutableDocument> {
        let mut anonymous: Option<Positioned<OperationDefinition>> = None;
        let mut operations: HashMap<Name, Positioned<OperationDefinition>> = HashMap::new();
        let mut fragments: HashMap<Name, Positioned<FragmentDefinition>> = HashMap::new();
        let mut places: HashMap<(bool, Name), Pos> = HashMap::new();
        loop {
            let at = self.at;
            if self.describes()? && self.is('{') {
                return self.expected("an operation by its keyword, or a fragment, behind its description");
            }
            if self.token == Token::Name("fragment") {
                let (name, fragment) = self.fragment(at)?;
                self.check_unique("fragment", &name, places.entry((true, name.node.clone())));
                fragments.entry(name.node).or_insert(fragment);
            } else {
                let (name, operation) = self.operation(at)?;
                let lone = "This anonymous operation must be the only defined operation.";
                if let Some(anonymous) = &anonymous {
                    self.refuse(lone.into(), &[anonymous.pos]);
                }
                match name {
                    Some(name) => {
                        self.check_unique("operation", &name, places.entry((false, name.node.clone())));
                        operations.entry(name.node).or_insert(operation);
                    }
                    None if operations.is_empty() => anonymous = Some(operation),
                    None => self.refuse(lone.into(), &[operation.pos]),
                }
            }
            if self.token == Token::End {
                break;
            }
        }
        let operations = match anonymous {
            Some(operation) => DocumentOperations::Single(operation),
            None => DocumentOperations::Multiple(operations),
        };
        Ok(ExecutableDocument { operations, fragments })
    }

    fn check_unique(&mut self, what: &str, name: &Positioned<Name>, place: Entry<'_, (bool, Name), Pos>) {
        match place {
            Entry::Vacant(free) => {
                free.insert(name.pos);
            }
            Entry::Occupied(first) => {
                let message = format!("There can be only one {what} named \"{}\".", name.node);
                self.refuse(message, &[*first.get(), name.pos]);
            }
        }
    }

    fn operation(&mut self, at: Pos) -> Parsed<(Option<Positioned<Name>>, Positioned<OperationDefinition>)> {
        let ty = match &self.token {
            Token::Punctuator('{') => None,
            Token::Name("query") => Some(OperationType::Query),
            Token::Name("mutation") => Some(OperationType::Mutation),
            Token::Name("subscription") => Some(OperationType::Subscription),
            _ => return self.expected("an operation or a fragment"),
        };
        let (mut name, mut variable_definitions, mut directives) = (None, Vec::new(), Vec::new());
        if ty.is_some() {
            self.advance()?;
            if matches!(self.token, Token::Name(_)) {
                name = Some(self.name("a name")?);
            }
            variable_definitions = self.optional_many('(', ')', Self::variable_definition)?;
            directives = self.directives(Values::Any)?;
        }
        let ty = ty.unwrap_or(OperationType::Query);
        let selection_set = self.selection_set()?;
        Ok((name, Positioned::new(OperationDefinition { ty, variable_definitions, directives, selection_set }, at)))
    }

    fn variable_definition(&mut self) -> Parsed<Positioned<VariableDefinition>> {
        let at = self.at;
        self.describes()?;
        self.expect('$')?;
        let name = self.name("the name of a variable")?;
        self.expect(':')?;
        let var_type = self.variable_type()?;
        let default_value = if self.takes('=')? {
            let Positioned { pos, node } = self.value(Values::Constant)?;
            node.into_const().map(|node| Positioned::new(node, pos))
        } else {
            None
        };
        let directives = self.directives(Values::Constant)?;
        Ok(Positioned::new(VariableDefinition { name, var_type, directives, default_value }, at))
    }

    fn variable_type(&mut self) -> Parsed<Positioned<Type>> {
        let at = self.at;
        let base = if self.takes('[')? {
            let element = self.variable_type()?.node;
            self.expect(']')?;
            BaseType::List(Box::new(element))
        } else {
            BaseType::Named(self.name("a type")?.node)
        };
        let nullable = !self.takes('!')?;
        Ok(Positioned::new(Type { base, nullable }, at))
    }

    fn fragment(&mut self, at: Pos) -> Parsed<(Positioned<Name>, Positioned<FragmentDefinition>)> {
        self.advance()?;
        if self.token == Token::Name("on") {
            return self.expected("the name of the fragment");
        }
        let name = self.name("the name of the fragment")?;
        if self.token != Token::Name("on") {
            return self.expected("`on`");
        }
        let type_condition = self.type_condition()?;
        let directives = self.directives(Values::Any)?;
        let selection_set = self.selection_set()?;
        Ok((name, Positioned::new(FragmentDefinition { type_condition, directives, selection_set }, at)))
    }

    /// `on T`, whose `on` stands here.
    fn type_condition(&mut self) -> Parsed<Positioned<TypeCondition>> {
        let at = self.at;
        self.advance()?;
        let on = self.name("a type")?;
        Ok(Positioned::new(TypeCondition { on }, at))
    }

    fn selection_set(&mut self) -> Parsed<Positioned<SelectionSet>> {
        let at = self.at;
        let items = self.many('{', '}', Self::selection)?;
        Ok(Positioned::new(SelectionSet { items }, at))
    }

    fn selection(&mut self) -> Parsed<Positioned<Selection>> {
        let at = self.at;
        let selection = match &self.token {
            Token::Spread => {
                self.advance()?;
                self.spread(at)?
            }
            _ => Selection::Field(Positioned::new(self.field()?, at)),
        };
        Ok(Positioned::new(selection, at))
    }

    fn field(&mut self) -> Parsed<Field> {
        let first = self.name("a field, a fragment or `}`")?;
        let (alias, name) = if self.takes(':')? { (Some(first), self.name("a field")?) } else { (None, first) };
        let arguments = self.optional_many('(', ')', |parser| parser.argument(Values::Any))?;
        let directives = self.directives(Values::Any)?;
        let selection_set = if self.is('{') { self.selection_set()? } else { Positioned::default() };
        Ok(Field { alias, name, arguments, directives, selection_set })
    }

    /// What follows `...`.
    fn spread(&mut self, at: Pos) -> Parsed<Selection> {
        let type_condition = match &self.token {
            Token::Name("on") => Some(self.type_condition()?),
            Token::Name(_) => {
                let fragment_name = self.name("the name of a fragment")?;
                let directives = self.directives(Values::Any)?;
                let spread = FragmentSpread { fragment_name, directives };
                return Ok(Selection::FragmentSpread(Positioned::new(spread, at)));
            }
            _ => None,
        };
        let directives = self.directives(Values::Any)?;
        let selection_set = self.selection_set()?;
        let inline = InlineFragment { type_condition, directives, selection_set };
        Ok(Selection::InlineFragment(Positioned::new(inline, at)))
    }

    fn directives(&mut self, values: Values) -> Parsed<Vec<Positioned<Directive>>> {
        let mut directives = Vec::new();
        while self.is('@') {
            let at = self.expect('@')?;
            let name = self.name("the name of a directive")?;
            let arguments = self.optional_many('(', ')', |parser| parser.argument(values))?;
            directives.push(Positioned::new(Directive { name, arguments }, at));
        }
        Ok(directives)
    }

    fn argument(&mut self, values: Values) -> Parsed<(Positioned<Name>, Positioned<Value>)> {
        let name = self.name("the name of an argument")?;
        self.expect(':')?;
        Ok((name, self.value(values)?))
    }

    fn value(&mut self, values: Values) -> Parsed<Positioned<Value>> {
        let at = self.at;
        let value = match &self.token {
            Token::Punctuator('$') if values == Values::Any => {
                self.advance()?;
                return Ok(Positioned::new(Value::Variable(self.name("the name of a variable")?.node), at));
            }
            Token::Punctuator('[') => return Ok(Positioned::new(self.list(values)?, at)),
            Token::Punctuator('{') => return Ok(Positioned::new(self.object(values)?, at)),
            Token::Int(text) | Token::Float(text) => match text.parse() {
                Ok(number) => Value::Number(number),
                Err(_) => return Err(SyntaxError::new(format!("{text} is too large a number"), at)),
            },
            Token::String(text) => Value::String(text.clone()),
            Token::Name("true") => Value::Boolean(true),
            Token::Name("false") => Value::Boolean(false),
            Token::Name("null") => Value::Null,
            Token::Name(name) => Value::Enum(Name::new(name)),
            Token::Punctuator('$') => return self.expected("a value without variables"),
            _ => return self.expected("a value"),
        };
        self.advance()?;
        Ok(Positioned::new(value, at))
    }

    fn list(&mut self, values: Values) -> Parsed<Value> {
        self.expect('[')?;
        let mut list = Vec::new();
        while !self.takes(']')? {
            list.push(self.value(values)?.node);
        }
        Ok(Value::List(list))
    }

    fn object(&mut self, values: Values) -> Parsed<Value> {
        self.expect('{')?;
        let mut members: IndexMap<Name, Value> = IndexMap::new();
        let mut places: HashMap<Name, Pos> = HashMap::new();
        while !self.takes('}')? {
            let name = self.name("the name of a member")?;
            self.expect(':')?;
            let value = self.value(values)?.node;
            if let Some(first) = places.get(&name.node).copied() {
                let message = format!("There can be only one input field named \"{}\".", name.node);
                self.refuse(message, &[first, name.pos]);
            } else {
                places.insert(name.node.clone(), name.pos);
                members.insert(name.node, value);
            }
        }
        Ok(Value::Object(members))
    }
}
