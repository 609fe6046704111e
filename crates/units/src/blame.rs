//! Whose an error is, so that every border can decide what to do with it.

/// Who can mend an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Blame {
    /// The caller sent something that cannot be done; saying it again will fail again.
    Rejected,
    /// Something outside was not ready; the same call may succeed later.
    Transient,
    /// The house itself is wrong (a broken invariant, a damaged file): stop and look.
    Fatal,
}

/// An error that says whose it is.
pub trait Blamed: std::error::Error {
    /// Who can mend it.
    fn blame(&self) -> Blame;
}
