//! The names that the module "weir" exports, as far as the compiler must know them.

/// Its functions and values.
pub(super) const VALUES: [&str; 24] = [
    "query",
    "view",
    "procedure",
    "action",
    "stream",
    "collection",
    "sum",
    "count",
    "min",
    "max",
    "avg",
    "top",
    "now",
    "fail",
    "attempt",
    "caller",
    "call",
    "metric",
    "schedule",
    "cancelJob",
    "secret",
    "hmac",
    "timingSafeEqual",
    "http",
];

/// Its types that may stand in declared types.
pub(super) const TYPES: [&str; 11] =
    ["ID", "Int", "Float", "DateTime", "JSON", "Bytes", "Doc", "Ref", "Page", "Edge", "PageInfo"];

/// Its types for code only: GraphQL knows nothing like them.
pub(super) const CODE_TYPES: [&str; 29] = [
    "Rows",
    "Reading",
    "Collection",
    "CollectionOptions",
    "Field",
    "Index",
    "OnDelete",
    "Operand",
    "Range",
    "PageArguments",
    "Callable",
    "ViewMaker",
    "ViewOptions",
    "Elements",
    "IndexArguments",
    "IndexPage",
    "IndexEdge",
    "Aggregate",
    "Caller",
    "CallerClaims",
    "Attempted",
    "When",
    "FetchOptions",
    "FetchResponse",
    "FetchHeaders",
    "HttpRequest",
    "HttpResponse",
    "HttpQuery",
    "HttpMethods",
];

/// Whether the module exports the name.
pub(super) fn exports(name: &str) -> bool {
    VALUES.contains(&name) || is_type(name)
}

/// Whether the name is a type and no value.
pub(super) fn is_type(name: &str) -> bool {
    TYPES.contains(&name) || CODE_TYPES.contains(&name)
}
