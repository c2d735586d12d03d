//! Inference servers that speak the Open Inference Protocol (KServe v2) over gRPC: NVIDIA Triton, MLServer and others.
//!
//! A [`Pool`] knows several servers of one model and sends requests to any with capacity. A server's responses are checked against those of the first
//! server, or this machine's own copy of the model: the version in every response, and the outputs for a test picture whenever it joins. So
//! no run mixes two models. A slow, faulty or missing server is excluded and tried again after increasing pauses.
//!
//! Left out on purpose: the meaning of outputs. The same code reads them as those of a local session.

mod endpoint;
mod identity;
mod pool;
mod protocol;

pub(crate) use identity::Known;
pub(crate) use pool::Pool;

use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use std::time::Duration;

/// Whether this machine takes over if servers are gone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Fallback {
    /// Work waits for them.
    #[default]
    None,
    /// This machine infers with its own copy of the same model.
    Local,
}

/// Addresses of the servers, and request settings.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RemoteSettings {
    /// `http://HOST:PORT`, or `https:` for TLS; all serve the same model.
    pub endpoints: Vec<String>,
    /// The model's name there.
    pub model: String,
    /// The version; `None`: the server chooses.
    pub version: Option<String>,
    /// The CA whose certificates are trusted, PEM; `None`: those that this machine trusts.
    pub ca_file: Option<PathBuf>,
    /// A request that takes longer has failed.
    pub timeout: Duration,
    /// How long work waits if there is no server; then it is put aside and tried again later.
    pub patience: Duration,
    /// Requests in flight at each server.
    pub in_flight: usize,
    /// What happens while there is none.
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
    /// Requests in flight at all servers.
    pub(crate) fn sessions(&self) -> usize {
        (self.endpoints.len() * self.in_flight).max(1)
    }
}
