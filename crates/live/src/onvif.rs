//! Finds cameras on the network by ONVIF, and asks each what it sends.
//!
//! ```text
//! search (who is there) → device (what each says, through soap, xml and reply) → FoundDevice with its profiles
//! ```
//! Whatever answers is a stranger. So **only the host that answered is asked** ([`place`]): what a device names as its own address is used for
//! the port and the path alone. It is never told the password itself, only digests of it. What it sends has bounds: `xml` says which for one
//! answer, [`device`] for all of them, [`search`] for how many there may be.
//!
//! Left out on purpose: changing anything in a camera, IPv6 (addresses of a link have a zone, which no camera's address can name), and
//! cameras behind another network's router, which such a search doesn't reach.

pub mod device;
pub mod finder;
pub mod place;
pub mod profile;
mod reply;
pub mod search;
mod soap;
mod xml;

pub use device::{Access, DeviceReport, Trouble, ask_device};
pub use finder::{Found, ask_again, find};
pub use profile::{Profile, Suggestion, VideoSettings, suggestions};
pub use search::{ProbeMatch, SearchEnd, SearchError, read_probe_matches};
