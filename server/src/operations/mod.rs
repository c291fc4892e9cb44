//! Operations at work, whatever brought them: a WebSocket, or a request that is answered with server-sent events.
//!
//! | module | what it does |
//! |---|---|
//! | [`operation`] | one operation: a result, or results that go on coming |
//! | [`outbox`] | what waits to be sent: of each subscription, only the newest value, perhaps as a patch; of each stream, one event |
//! | [`question`] | what a subscription keeps of its request |

pub mod operation;
pub mod outbox;
pub mod question;
