//! Request parsing and refusals: arguments, byte ranges, bodies, problem documents.

pub mod arguments;
pub mod byte_range;
pub mod client;
pub mod conditional;
pub mod drain_body;
pub mod host;
pub mod origin;
pub mod pages;
pub mod problem;
pub mod socket;
pub mod stretch;
