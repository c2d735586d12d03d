//! Callers and their permissions.

pub mod caller;
mod gate;
