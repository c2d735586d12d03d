//! Verifying a store.

/// Something that is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// A short name that stays the same.
    pub code: &'static str,
    /// What is wrong and what to do, one line.
    pub text: String,
}
