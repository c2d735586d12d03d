//! Reasons: every error reported to people has a sentence, and a code by which the page translates it.

use crate::describe::Chain;
use pigweight_store::Reason;

/// An error reported to people.
pub trait Reasoned {
    /// Its sentence and its code.
    fn reason(&self) -> Reason;
}

impl Reasoned for pigweight_media::Error {
    fn reason(&self) -> Reason {
        Reason::new(self.code(), self.to_string())
    }
}

impl Reasoned for pigweight_detect::Error {
    fn reason(&self) -> Reason {
        Reason::new(self.code(), self.to_string())
    }
}

impl Reasoned for pigweight_store::Error {
    fn reason(&self) -> Reason {
        Reason::new(self.code(), self.to_string())
    }
}

/// For errors without a type: an unreadable file, an invalid calibration.
impl Reasoned for anyhow::Error {
    fn reason(&self) -> Reason {
        let code =
            self.downcast_ref::<pigweight_store::Error>().map_or("other", pigweight_store::Error::code);
        Reason::new(code, Chain(self.as_ref()).to_string())
    }
}
