//! Reasons: every error reported to people has a sentence, and a code by which the page translates it.

use crate::describe::{Chain, printable};
use pigweight_store::Reason;

/// An error reported to people.
pub trait Reasoned {
    /// Its sentence and its code.
    fn reason(&self) -> Reason;
}

impl Reasoned for pigweight_media::Error {
    fn reason(&self) -> Reason {
        let text = self.to_string();
        // Who is told knows the video by its name, and not where this machine keeps it.
        let text = match self.path().and_then(|path| Some((path, path.file_name()?))) {
            Some((path, name)) => text.replace(&*path.to_string_lossy(), &name.to_string_lossy()),
            None => text,
        };
        Reason::new(self.code(), printable(&text))
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
