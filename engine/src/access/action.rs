//! What may be done.

use std::sync::LazyLock;

use super::value::Uid;

/// What a caller does, as policies name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Action {
    /// Calls a function.
    Call,
    /// Has a function read a document.
    Read,
    /// Has a function store a new document.
    Create,
    /// Has a function change a document.
    Update,
    /// Has a function delete a document.
    Delete,
    /// Sees a member of a document that may be read. Part of reading: what permits `action in Action::"read"` permits both.
    View,
}

/// The type of actions.
pub(super) const TYPE: &str = "Action";

impl Action {
    /// All of them.
    pub const ALL: [Self; 6] = [Self::Call, Self::Read, Self::Create, Self::Update, Self::Delete, Self::View];

    /// `read`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Call => "call",
            Self::Read => "read",
            Self::Create => "create",
            Self::Update => "update",
            Self::Delete => "delete",
            Self::View => "view",
        }
    }

    /// The action of a name.
    pub fn of(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|action| action.name() == name)
    }

    /// The action that it is part of.
    pub(super) fn parent(self) -> Option<Self> {
        (self == Self::View).then_some(Self::Read)
    }

    pub(super) fn uid(self) -> Uid {
        static UIDS: LazyLock<[Uid; 6]> = LazyLock::new(|| Action::ALL.map(|action| Uid::new(TYPE, action.name())));
        let uid = UIDS.get(self as usize).cloned();
        uid.unwrap_or_else(|| Uid::new(TYPE, self.name()))
    }

    /// Whether an action is part of another.
    pub(super) fn is_below(uid: &Uid, ancestor: &Uid) -> bool {
        let parent = (*uid.of == *TYPE).then(|| Self::of(&uid.id)?.parent()).flatten();
        parent.is_some_and(|parent| parent.uid() == *ancestor)
    }
}
