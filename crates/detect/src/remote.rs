//! Inference servers that speak the Open Inference Protocol (KServe v2) over gRPC: NVIDIA Triton, MLServer and others.
//!
//! A [`Pool`] knows several servers of one model and asks whichever has room. What a server gives is held against what the first
//! one gave, or this machine's own copy of the model: its version with every answer, its numbers for one picture whenever it joins. So
//! no run mixes two models. A server that is slow, wrong or gone is left out and tried again with longer and longer pauses.
//!
//! Left out on purpose: what the outputs mean. They are read by the same code as those of a session on this machine.

mod endpoint;
mod identity;
mod pool;
mod protocol;

pub(crate) use identity::Known;
pub(crate) use pool::Pool;

use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use std::time::Duration;

/// Whether this machine stands in for servers that are gone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Fallback {
    /// Work waits for them.
    #[default]
    None,
    /// It looks itself, with its own copy of the same model.
    Local,
}

/// Where the servers are and how they are asked.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RemoteSettings {
    /// `http://HOST:PORT`, or `https:` for TLS; all serve the same model.
    pub endpoints: Vec<String>,
    /// The model's name there.
    pub model: String,
    /// Its version; `None`: the one that the server chooses.
    pub version: Option<String>,
    /// Whose signature on a server's certificate is trusted, PEM; `None`: those that this machine trusts.
    pub ca_file: Option<PathBuf>,
    /// A request that takes longer has failed.
    pub timeout: Duration,
    /// So long work waits for a server when none is there; then it is put aside and tried again later.
    pub patience: Duration,
    /// Requests under way at each of them.
    pub in_flight: usize,
    /// What happens while none is there.
    pub fallback: Fallback,
}

impl Default for RemoteSettings {
    fn default() -> Self {
        Self {
            endpoints: Vec::new(),
            model: String::new(),
            version: None,
            ca_file: None,
            timeout: Duration::from_secs(10),
            patience: Duration::from_secs(30),
            in_flight: 4,
            fallback: Fallback::None,
        }
    }
}

impl RemoteSettings {
    /// Requests under way at all of them.
    pub(crate) fn sessions(&self) -> usize {
        (self.endpoints.len() * self.in_flight).max(1)
    }
}
