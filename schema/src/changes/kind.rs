//! The kinds of changes: how bad each is, what it is called, what to do about it.

/// How bad a change is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// Operations that were valid are not any more, or get what they do not expect.
    Breaking,
    /// Operations stay valid, and clients may meet what they have no case for.
    Dangerous,
    /// No client notices that does not look for it.
    Safe,
}

impl Severity {
    /// In a word.
    pub fn name(self) -> &'static str {
        match self {
            Self::Breaking => "breaking",
            Self::Dangerous => "dangerous",
            Self::Safe => "safe",
        }
    }
}

/// Declares the kinds as a table: name, what GraphQL.js calls it, severity, what to do.
macro_rules! kinds {
    ($($kind:ident $name:literal $severity:ident $advice:literal)*) => {
        /// A kind of change.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Kind {
            $(#[doc = concat!("`", $name, "`")] $kind,)*
        }

        impl Kind {
            /// What GraphQL.js calls it.
            pub fn name(self) -> &'static str {
                match self { $(Self::$kind => $name,)* }
            }

            /// How bad it is.
            pub fn severity(self) -> Severity {
                match self { $(Self::$kind => Severity::$severity,)* }
            }

            /// What to do about it, in one sentence. Empty where there is nothing to do.
            pub fn advice(self) -> &'static str {
                match self { $(Self::$kind => $advice,)* }
            }
        }
    };
}

kinds! {
    TypeRemoved "TYPE_REMOVED" Breaking "Keep it until no operation names it."
    TypeChangedKind "TYPE_CHANGED_KIND" Breaking "Give the new type another name."
    TypeRemovedFromUnion "TYPE_REMOVED_FROM_UNION" Breaking "Keep it until no operation selects from it."
    ValueRemovedFromEnum "VALUE_REMOVED_FROM_ENUM" Breaking "Keep it until no operation gives it."
    RequiredInputFieldAdded "REQUIRED_INPUT_FIELD_ADDED" Breaking "Make it optional, as `name?: T`."
    ImplementedInterfaceRemoved "IMPLEMENTED_INTERFACE_REMOVED" Breaking "Keep it until no operation selects through it."
    FieldRemoved "FIELD_REMOVED" Breaking "Keep it until no operation names it."
    FieldChangedKind "FIELD_CHANGED_KIND" Breaking "Add one of the new type beside it, and remove this one when no operation names it."
    RequiredArgAdded "REQUIRED_ARG_ADDED" Breaking "Make it optional, as `name?: T`."
    ArgRemoved "ARG_REMOVED" Breaking "Keep it, optional, until no operation gives it."
    ArgChangedKind "ARG_CHANGED_KIND" Breaking "Add one of the new type beside it, and remove this one when no operation gives it."
    DirectiveRemoved "DIRECTIVE_REMOVED" Breaking "Take it out of operations first."
    DirectiveArgRemoved "DIRECTIVE_ARG_REMOVED" Breaking "Take it out of operations first."
    RequiredDirectiveArgAdded "REQUIRED_DIRECTIVE_ARG_ADDED" Breaking "Have operations without the directive first."
    DirectiveRepeatableRemoved "DIRECTIVE_REPEATABLE_REMOVED" Breaking "Have it once in operations first."
    DirectiveLocationRemoved "DIRECTIVE_LOCATION_REMOVED" Breaking "Take it out of operations there first."
    ValueAddedToEnum "VALUE_ADDED_TO_ENUM" Dangerous "See that clients have a case for values that they do not know."
    TypeAddedToUnion "TYPE_ADDED_TO_UNION" Dangerous "See that clients have a case for types that they do not know."
    OptionalInputFieldAdded "OPTIONAL_INPUT_FIELD_ADDED" Dangerous "See that nothing changes for who leaves it out."
    OptionalArgAdded "OPTIONAL_ARG_ADDED" Dangerous "See that nothing changes for who leaves it out."
    ImplementedInterfaceAdded "IMPLEMENTED_INTERFACE_ADDED" Dangerous "See that clients have a case for types that they do not know."
    ArgDefaultValueChange "ARG_DEFAULT_VALUE_CHANGE" Dangerous "See that who leaves it out wants that."
    TypeAdded "TYPE_ADDED" Safe ""
    FieldAdded "FIELD_ADDED" Safe ""
    FieldChangedKindSafe "FIELD_CHANGED_KIND_SAFE" Safe ""
    ArgChangedKindSafe "ARG_CHANGED_KIND_SAFE" Safe ""
    ArgDefaultValueAdded "ARG_DEFAULT_VALUE_ADDED" Safe ""
    DirectiveAdded "DIRECTIVE_ADDED" Safe ""
    OptionalDirectiveArgAdded "OPTIONAL_DIRECTIVE_ARG_ADDED" Safe ""
    DirectiveRepeatableAdded "DIRECTIVE_REPEATABLE_ADDED" Safe ""
    DirectiveLocationAdded "DIRECTIVE_LOCATION_ADDED" Safe ""
}
