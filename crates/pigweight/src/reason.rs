//! Why something is as it is, of every error that is told to people: its sentence, and the code by which the page says it in its reader's language.

use crate::describe::Chain;
use pigweight_store::Reason;

/// An error that is told.
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

/// Of what has no type: a file that cannot be read, a calibration that cannot be understood.
impl Reasoned for anyhow::Error {
    fn reason(&self) -> Reason {
        let code =
            self.downcast_ref::<pigweight_store::Error>().map_or("other", pigweight_store::Error::code);
        Reason::new(code, Chain(self.as_ref()).to_string())
    }
}
