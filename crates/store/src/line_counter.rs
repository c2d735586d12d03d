//! Line counters as they are stored.
//!
//! A run keeps the version of the rule that it began with, and its counters the form of that version: those of version 1 lack the second part.

use crate::error::{Error, Result};
use pigweight_core::line::{Fragments, LineCounter, Sides, has_fragments};

const DAMAGED: Error = Error::Damaged { what: "line counter" };

/// The bytes to store.
pub fn encode(counter: &LineCounter) -> Result<Vec<u8>> {
    let (sides, fragments) = counter.parts();
    let bytes = postcard::to_stdvec(sides).map_err(|_| DAMAGED)?;
    match fragments {
        None => Ok(bytes),
        Some(fragments) => postcard::to_extend(fragments, bytes).map_err(|_| DAMAGED),
    }
}

/// As stored with a run by this version of the rule.
pub fn decode(bytes: &[u8], rule_version: u32) -> Result<LineCounter> {
    let (sides, rest): (Sides, &[u8]) = postcard::take_from_bytes(bytes).map_err(|_| DAMAGED)?;
    let fragments: Option<Fragments> = match has_fragments(rule_version) {
        true => Some(postcard::from_bytes(rest).map_err(|_| DAMAGED)?),
        false => None,
    };
    Ok(LineCounter::from_parts(sides, fragments))
}
