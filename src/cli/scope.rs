//! Which namespaces the operator works on.

/// Which namespaces are worked on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scope {
    /// All of them.
    All,
    /// These.
    Namespaces(Vec<String>),
}

impl Scope {
    /// No names are all namespaces.
    #[must_use]
    pub fn of(names: &[String]) -> Self {
        // A chart that has no value for it sets the variable all the same, to nothing.
        let mut names: Vec<String> = names.iter().map(|name| name.trim().to_owned()).collect();
        names.retain(|name| !name.is_empty());
        names.sort_unstable();
        names.dedup();
        if names.is_empty() { Self::All } else { Self::Namespaces(names) }
    }
}
