//! `collection<T>({ unique, index, onDelete })`: what it holds and which indexes it has.

use oxc::ast::ast::Expression;
use oxc::span::{GetSpan, Span};
use weir_schema::declarations::{Collection, Index};
use weir_schema::limits::INDEX_FIELDS_MAX;
use weir_schema::name;
use weir_schema::shape::{ObjectDefinition, Shape};

use super::exports::Made;
use super::literal;
use super::references;
use super::report::{File, Report, Reported};
use super::typing::{DeclaredType, Ty, Types};

/// The type of documents that a collection declares.
pub(super) fn document_type<'a, 'g>(
    made: &Made<'a, 'g>,
    types: &mut Types<'a, 'g>,
    report: &Report,
) -> Result<DeclaredType<'a, 'g>, Reported> {
    let arguments = made.call.type_arguments.as_ref().map_or(&[][..], |arguments| &arguments.params);
    match arguments {
        [document] => types.add_document(Ty::new(made.home, document)),
        _ => {
            let message = format!("the collection `{}` does not say what it holds", made.name);
            let singular = name::capitalized(made.name.strip_suffix('s').unwrap_or(made.name));
            let help = format!("write collection<{singular}>(…) with an interface {singular}");
            Err(report.error_with_help(made.home.file, made.call.span, message, help))
        }
    }
}

/// Reads one collection. The documents of all collections must be known before: `held` are their names and those of
/// their documents' types.
pub(super) fn read<'a, 'g>(
    made: &Made<'a, 'g>,
    declared: DeclaredType<'a, 'g>,
    held: &[(&str, &str)],
    types: &mut Types<'a, 'g>,
    report: &Report,
) -> Result<Collection, Reported> {
    let (value, document) = types.define_document(declared)?;
    let file = made.home.file;
    let options = match made.call.arguments.as_slice() {
        [] => Options::default(),
        [options] => {
            let Some(options) = literal::argument(options) else {
                return Err(report.error(file, options.span(), "the options must be written out here"));
            };
            Reader { file, document: &document, report }.options(options)?
        }
        [_, more, ..] => {
            return Err(report.error(file, more.span(), "a collection takes one object of options"));
        }
    };
    let policies = match options.on_delete {
        Some(on_delete) => references::policies(file, on_delete, report)?,
        None => Vec::new(),
    };
    let references = references::Reader { file, declared, document: &document, held, report }.read(policies, types)?;
    Ok(Collection {
        name: made.name.to_owned(),
        module: file.path.to_owned(),
        document: document.name,
        value,
        indexes: options.indexes,
        references,
    })
}

/// The options of a collection.
#[derive(Default)]
struct Options<'a> {
    indexes: Vec<Index>,
    on_delete: Option<&'a Expression<'a>>,
}

struct Reader<'r> {
    file: &'r File<'r>,
    document: &'r ObjectDefinition,
    report: &'r Report,
}

impl Reader<'_> {
    fn options<'a>(&self, options: &'a Expression<'a>) -> Result<Options<'a>, Reported> {
        let mut unique = Vec::new();
        let mut plain = Vec::new();
        let mut on_delete = None;
        for property in literal::properties(self.file, options, "the options of a collection", self.report)? {
            match property.name {
                "unique" => unique = self.indexes(property.value, true)?,
                "index" => plain = self.indexes(property.value, false)?,
                "onDelete" => on_delete = Some(property.value),
                other => {
                    let message = format!("a collection has no option `{other}`");
                    let help = "its options are unique, index and onDelete";
                    return Err(self.report.error_with_help(self.file, property.span, message, help));
                }
            }
        }
        let mut indexes: Vec<Index> = Vec::new();
        for (index, span) in unique.into_iter().chain(plain) {
            if indexes.iter().any(|known| known.fields == index.fields) {
                let message = format!("there is already an index on {}", index.fields.join(", "));
                return Err(self.report.error_with_help(self.file, span, message, "leave one of them out"));
            }
            indexes.push(index);
        }
        Ok(Options { indexes, on_delete })
    }

    fn indexes<'a>(&self, list: &'a Expression<'a>, unique: bool) -> Result<Vec<(Index, Span)>, Reported> {
        let elements = literal::elements(self.file, list, "indexes", self.report)?;
        elements.into_iter().map(|element| Ok((self.index(element, unique)?, element.span()))).collect()
    }

    fn index<'a>(&self, element: &'a Expression<'a>, unique: bool) -> Result<Index, Reported> {
        let fields = match literal::string(element) {
            Some(_) => vec![element],
            None => literal::elements(self.file, element, "the fields of an index", self.report)?,
        };
        if fields.is_empty() || fields.len() > INDEX_FIELDS_MAX {
            let message = format!("an index has 1 to {INDEX_FIELDS_MAX} fields");
            return Err(self.report.error(self.file, element.span(), message));
        }
        let mut names: Vec<String> = Vec::with_capacity(fields.len());
        for field in fields {
            let name = self.field(field)?;
            if names.iter().any(|known| known == name) {
                let message = format!("the field `{name}` is twice in one index");
                return Err(self.report.error(self.file, field.span(), message));
            }
            names.push(name.to_owned());
        }
        Ok(Index { fields: names, unique })
    }

    fn field<'a>(&self, field: &'a Expression<'a>) -> Result<&'a str, Reported> {
        let error =
            |message: String, help: String| Err(self.report.error_with_help(self.file, field.span(), message, help));
        let Some(name) = literal::string(field) else {
            let help = "write \"email\", or [\"customer\", \"at\"] for an index on two fields";
            return error("an index is named by strings".to_owned(), help.to_owned());
        };
        if name == "id" {
            let help = "leave it out: documents are always found by their id, and equal rows are in its order";
            return error("`id` needs no index".to_owned(), help.to_owned());
        }
        let Some(member) = self.document.member(name) else {
            let names = self.document.members.iter().map(|member| member.name.as_str()).filter(|name| *name != "id");
            let help = format!("it has {}", names.collect::<Vec<_>>().join(", "));
            return error(format!("`{}` has no member `{name}`", self.document.name), help);
        };
        if has_order(&member.slot.shape) {
            return Ok(name);
        }
        let help = "index a string, a number, a boolean, an enum, an ID, a Ref or a DateTime";
        error(format!("`{name}` cannot be indexed: its values have no order"), help.to_owned())
    }
}

/// Whether values of a shape can be sorted, and so be the key of an index.
pub(super) fn has_order(shape: &Shape) -> bool {
    match shape {
        Shape::String | Shape::Boolean | Shape::Int | Shape::Float => true,
        Shape::Id | Shape::Ref(_) | Shape::DateTime | Shape::Enum(_) => true,
        Shape::Json | Shape::Bytes | Shape::List(_) | Shape::Object(_) | Shape::Union(_) => false,
    }
}
