//! Who asks, and what they may do.

pub mod caller;
mod gate;
