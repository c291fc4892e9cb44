//! HTTP: routes, limits, content negotiation.
//!
//! | module | what it does |
//! |---|---|
//! | [`options`] | every limit and time of the server, by name |
//! | [`serve`] | from a listener to a graceful stop |
//! | [`accept`] | the accept loop, and how many connections there may be |
//! | [`conversation`] | one connection from its first byte to its last; [`activity`] tells when it has been quiet too long |
//! | [`stream`] | the bytes of a connection; [`tls`] has the certificate |
//! | [`manners`] | what all requests and responses have: a [`request_id`](crate::request_id), and [`compression`] |
//! | [`connection`] | which connection a request came by |
//! | [`client_address`] | from whom, by what trusted proxies say; [`proxy_protocol`] for whole connections |
//! | [`too_many`] | the answer to who asks too often |
//! | [`gateway`] | what all handlers share |
//! | [`router`] | which path goes where |
//! | [`endpoints`] | requests to the endpoints of the active release |
//! | [`graphql`] | GraphQL over HTTP |
//! | [`events`] | results as server-sent events |
//! | [`upload`] | many calls in JSON lines, answered while they are still being sent; [`body_lines`] takes a body apart |
//! | [`multipart`] | requests with files |
//! | [`lines`] | results as lines of JSON, sent as they are taken |
//! | [`body`] | a body that is needed whole; [`bodies`] bounds what all of them take together |
//! | [`caching`] | what may be kept of a response, and whether a client has it already |
//! | [`negotiate`] | content types, in and out |
//! | [`origin`] | which web pages may reach the server from a browser |
//! | [`pages`] | GraphiQL, the SDL, health |

pub mod accept;
pub mod activity;
pub mod bodies;
pub mod body;
pub mod body_lines;
pub mod caching;
pub mod client_address;
pub mod compression;
pub mod connection;
pub mod conversation;
pub mod endpoints;
pub mod events;
pub mod gateway;
pub mod graphql;
pub mod lines;
pub mod manners;
pub mod multipart;
pub mod negotiate;
pub mod options;
pub mod origin;
pub mod pages;
pub mod proxy_protocol;
pub mod router;
pub mod serve;
pub mod stream;
pub mod tls;
pub mod too_many;
pub mod upload;

pub use options::ServerOptions;
pub use serve::Server;
