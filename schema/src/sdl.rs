//! The GraphQL view as schema definition language.
