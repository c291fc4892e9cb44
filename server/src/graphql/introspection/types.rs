//! The types of a schema together with those of introspection.

use weir_schema::api::{Api, Field, InputObject, NamedType, Object, Of, Scalar, TypeRef};
use weir_schema::shape::UnionDefinition;

use super::vocabulary::vocabulary;

/// Finds types by name: the app's, its roots, those of introspection, the scalars in use.
#[derive(Clone, Copy)]
pub struct Types<'a> {
    api: &'a Api,
}

/// What may stand in selections.
#[derive(Clone, Copy)]
pub enum Composite<'a> {
    /// An object type.
    Object(&'a Object),
    /// A union.
    Union(&'a UnionDefinition),
}

/// A type of any kind.
#[derive(Clone, Copy)]
pub enum Known<'a> {
    /// A scalar.
    Scalar(Scalar),
    /// An enum.
    Enum,
    /// An input object.
    Input(&'a InputObject),
    /// An object or a union.
    Composite(Composite<'a>),
}

impl<'a> Types<'a> {
    /// Those of a schema.
    pub fn of(api: &'a Api) -> Self {
        Self { api }
    }

    /// The schema itself.
    pub fn api(self) -> &'a Api {
        self.api
    }

    /// A type that is neither a scalar nor a root.
    pub fn named(self, name: &str) -> Option<&'a NamedType> {
        self.api.types.get(name).or_else(|| vocabulary().types.get(name))
    }

    /// An object type.
    pub fn object(self, name: &str) -> Option<&'a Object> {
        match self.named(name) {
            Some(NamedType::Object(object)) => Some(object),
            _ => self.api.object(name),
        }
    }

    /// Any type by name. A scalar that nothing uses is none of the schema.
    pub fn find(self, name: &str) -> Option<Known<'a>> {
        match self.named(name) {
            Some(NamedType::Object(object)) => Some(Known::Composite(Composite::Object(object))),
            Some(NamedType::Union(union)) => Some(Known::Composite(Composite::Union(union))),
            Some(NamedType::Input(input)) => Some(Known::Input(input)),
            Some(NamedType::Enum(_)) => Some(Known::Enum),
            None => match Scalar::parse(name) {
                Some(scalar) => self.api.scalars().contains(&scalar).then_some(Known::Scalar(scalar)),
                None => self.api.object(name).map(|root| Known::Composite(Composite::Object(root))),
            },
        }
    }

    /// What a type has inside of its lists.
    pub fn inside(self, ty: &TypeRef) -> Option<Known<'a>> {
        match &ty.of {
            Of::Scalar(scalar) => Some(Known::Scalar(*scalar)),
            Of::List(element) => self.inside(element),
            Of::Named(name) => self.find(name),
        }
    }

    /// The field of this name, those that every type has by GraphQL itself included.
    pub fn field(self, of: Composite<'a>, name: &str) -> Option<&'a Field> {
        match (of, name) {
            (_, "__typename") => Some(&vocabulary().typename),
            (Composite::Object(root), "__schema") if std::ptr::eq(root, &self.api.query) => Some(&vocabulary().schema),
            (Composite::Object(root), "__type") if std::ptr::eq(root, &self.api.query) => Some(&vocabulary().ty),
            (Composite::Object(object), name) => object.field(name),
            (Composite::Union(_), _) => None,
        }
    }
}

impl<'a> Composite<'a> {
    /// Its name.
    pub fn name(self) -> &'a str {
        match self {
            Self::Object(object) => &object.name,
            Self::Union(union) => &union.name,
        }
    }

    /// Whether some object is of both types.
    pub fn overlaps(self, other: Self) -> bool {
        self.objects().any(|object| other.objects().any(|another| object == another))
    }

    /// The names of the objects that are of this type.
    fn objects(self) -> impl Iterator<Item = &'a str> {
        let (object, union) = match self {
            Self::Object(object) => (Some(object.name.as_str()), None),
            Self::Union(union) => (None, Some(union)),
        };
        let alternatives = union.into_iter().flat_map(|union| &union.alternatives);
        object.into_iter().chain(alternatives.map(|alternative| alternative.object.as_str()))
    }
}
