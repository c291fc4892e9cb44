//! The only user of surrealkv: snapshots, the committer, the journal, indexes.
