//! Reasons: why a job failed, a file cannot be read, a result cannot be written.

use std::fmt;

/// A sentence for a person, with a short name for programs that say it in words of their own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reason {
    /// `disk_full`, `replaced`, …: it stays the same when the sentence is written better.
    pub code: &'static str,
    /// In English.
    pub text: String,
}

impl Reason {
    /// Both.
    pub fn new(code: &'static str, text: impl Into<String>) -> Self {
        Self { code, text: text.into() }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.text)
    }
}
