//! A folder of TypeScript in, an [`App`](crate::App) or diagnostics out.
