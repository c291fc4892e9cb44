//! What introspection may select, for the generator of documents.

/// An object type.
pub struct Object {
    /// Its name.
    pub name: &'static str,
    /// Its fields.
    pub fields: &'static [Field],
}

/// A field.
pub struct Field {
    /// Its name.
    pub name: &'static str,
    /// The object type inside of it; empty where there is none.
    pub of: &'static str,
    /// Whether it takes `includeDeprecated`.
    pub takes_deprecated: bool,
}

const fn leaf(name: &'static str) -> Field {
    Field { name, of: "", takes_deprecated: false }
}

const fn inner(name: &'static str, of: &'static str) -> Field {
    Field { name, of, takes_deprecated: false }
}

const fn filtered(name: &'static str, of: &'static str) -> Field {
    Field { name, of, takes_deprecated: true }
}

/// `__Schema`.
pub const SCHEMA: &Object = &OBJECTS[0];
/// `__Type`.
pub const TYPE: &Object = &OBJECTS[1];

static OBJECTS: [Object; 6] = [
    Object {
        name: "__Schema",
        fields: &[
            leaf("description"),
            inner("types", "__Type"),
            inner("queryType", "__Type"),
            inner("mutationType", "__Type"),
            inner("subscriptionType", "__Type"),
            filtered("directives", "__Directive"),
        ],
    },
    Object {
        name: "__Type",
        fields: &[
            leaf("kind"),
            leaf("name"),
            leaf("description"),
            leaf("specifiedByURL"),
            filtered("fields", "__Field"),
            inner("interfaces", "__Type"),
            inner("possibleTypes", "__Type"),
            filtered("enumValues", "__EnumValue"),
            filtered("inputFields", "__InputValue"),
            inner("ofType", "__Type"),
            leaf("isOneOf"),
        ],
    },
    Object {
        name: "__Field",
        fields: &[
            leaf("name"),
            leaf("description"),
            filtered("args", "__InputValue"),
            inner("type", "__Type"),
            leaf("isDeprecated"),
            leaf("deprecationReason"),
        ],
    },
    Object {
        name: "__InputValue",
        fields: &[
            leaf("name"),
            leaf("description"),
            inner("type", "__Type"),
            leaf("defaultValue"),
            leaf("isDeprecated"),
            leaf("deprecationReason"),
        ],
    },
    Object {
        name: "__EnumValue",
        fields: &[leaf("name"), leaf("description"), leaf("isDeprecated"), leaf("deprecationReason")],
    },
    Object {
        name: "__Directive",
        fields: &[
            leaf("name"),
            leaf("description"),
            leaf("isRepeatable"),
            leaf("locations"),
            filtered("args", "__InputValue"),
            leaf("isDeprecated"),
        ],
    },
];

/// The object type of this name.
pub fn object(name: &str) -> Option<&'static Object> {
    OBJECTS.iter().find(|object| object.name == name)
}
