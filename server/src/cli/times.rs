//! Times as people read them.

pub use weir_schema::datetime::of_ms as moment;
