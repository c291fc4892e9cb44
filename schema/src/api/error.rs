//! Why declarations have no GraphQL view.

/// Why declarations have no GraphQL view.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ApiError {
    /// Two things would be GraphQL types of one name.
    #[error("{first} and {second} would both be the GraphQL type {name}; rename one of them")]
    TypeClash {
        /// The GraphQL name.
        name: String,
        /// What has the name.
        first: String,
        /// What would have it too.
        second: String,
    },
    /// Two fields, arguments or enum values of one name stand side by side.
    #[error("{owner} has {name} twice; rename one of them")]
    MemberClash {
        /// The type or field they stand in.
        owner: String,
        /// Their name.
        name: String,
    },
    /// A function has the name of a root field of Weir's own.
    #[error("{module}: the function {name} cannot be exported, since {name} is a root field of every app; rename it")]
    ReservedFunction {
        /// The function.
        name: String,
        /// The module that exports it.
        module: String,
    },
    /// GraphQL does not allow the name.
    #[error("{name:?} cannot be a name in GraphQL: letters, digits and _ only, no digit first, no __ first")]
    BadName {
        /// The name.
        name: String,
    },
    /// A union of objects in arguments, which GraphQL does not have.
    #[error("{user} takes the union {union}; GraphQL has no unions in arguments: take an object with optional members")]
    UnionInArguments {
        /// The union.
        union: String,
        /// The function or input type that takes it.
        user: String,
    },
    /// An input type that contains itself without a way to end.
    #[error("no value of {name} can ever be written: its member {member} needs another {name}; make one optional")]
    EndlessInput {
        /// The input type.
        name: String,
        /// The first member on the way back to it.
        member: String,
    },
    /// A type that nothing declares.
    #[error("{user} names the type {name}, which nothing declares")]
    UnknownType {
        /// The missing type.
        name: String,
        /// What names it.
        user: String,
    },
    /// A type without members.
    #[error("{name} has no members; a GraphQL type needs at least one")]
    Empty {
        /// The type.
        name: String,
    },
}
