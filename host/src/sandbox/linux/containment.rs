//! What keeps a worker's processes together.

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Containment {
    /// A PID namespace, which the kernel empties as a whole.
    Namespace,
    /// The supervisor, which all orphans below it become children of.
    Subreaper,
}

impl Containment {
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Namespace => "namespace",
            Self::Subreaper => "subreaper",
        }
    }

    pub(super) fn of_word(word: &str) -> Option<Self> {
        [Self::Namespace, Self::Subreaper].into_iter().find(|containment| containment.word() == word)
    }
}
