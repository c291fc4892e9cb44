//! The GraphQL view of the declarations.
