//! A client for a running server, for commands that use one.

use crate::args::JobAction;
use crate::web::api::jobs::{Job, Jobs, Priority};
use anyhow::Context as _;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use pigweight_store::JobFilter;
use serde::de::DeserializeOwned;
use std::time::Duration;

/// Request timeout: the server may be busy counting.
const PATIENCE: Duration = Duration::from_secs(30);

/// A server's address, and an HTTP client.
pub struct Client {
    address: String,
    agent: ureq::Agent,
}

impl Client {
    /// For the server at this address, `host:port`.
    pub fn new(address: &str) -> Self {
        let config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(PATIENCE))
            .proxy(None);
        Self { address: address.to_owned(), agent: config.build().into() }
    }

    /// Its jobs.
    pub fn jobs(&self, filter: &JobFilter) -> anyhow::Result<Jobs> {
        let state = filter.state.map_or_else(String::new, |state| format!("&state={}", state.name()));
        let named =
            filter.named.as_ref().map_or_else(String::new, |name| format!("&named={}", escaped(name)));
        self.ask("GET", &format!("/api/jobs?limit={}{state}{named}", filter.limit), None)
    }

    /// Sends a command for the job with this full name.
    pub fn change_job(&self, id: &str, action: &JobAction) -> anyhow::Result<Job> {
        let what = match action {
            JobAction::Pause { .. } => "pause",
            JobAction::Resume { .. } => "resume",
            JobAction::Cancel { .. } => "cancel",
            JobAction::Retry { .. } => "retry",
            JobAction::Prioritise { priority, .. } => {
                let body = serde_json::to_string(&Priority { priority: *priority })?;
                return self.ask("PUT", &format!("/api/jobs/{}/priority", escaped(id)), Some(body));
            }
        };
        self.ask("POST", &format!("/api/jobs/{}/{what}", escaped(id)), None)
    }

    fn ask<T: DeserializeOwned>(&self, method: &str, path: &str, body: Option<String>) -> anyhow::Result<T> {
        let url = format!("http://{}{path}", self.address);
        let request = ureq::http::Request::builder()
            .method(method)
            .uri(&url)
            .header("content-type", "application/json")
            .body(body.unwrap_or_default())?;
        let silent = || format!("the server at http://{}/ does not answer; start it again", self.address);
        let mut response = self.agent.run(request).with_context(silent)?;
        let text = response.body_mut().read_to_string().with_context(silent)?;
        if response.status().is_success() {
            return serde_json::from_str(&text).with_context(|| {
                format!("the server at http://{}/ is of another version; use its own pigweight", self.address)
            });
        }
        let problem: serde_json::Value = serde_json::from_str(&text).unwrap_or_default();
        let detail = problem["detail"].as_str().map_or_else(|| response.status().to_string(), str::to_owned);
        Err(anyhow::anyhow!(detail))
    }
}

/// All except unreserved characters (RFC 3986, section 2.3).
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_');

/// User input is one path segment.
fn escaped(piece: &str) -> String {
    utf8_percent_encode(piece, RESERVED).to_string()
}

#[cfg(test)]
mod tests {
    use super::escaped;

    #[test]
    fn a_jobs_name_stays_one_piece_of_the_path() {
        assert_eq!(escaped("01k-a_B"), "01k-a_B");
        assert_eq!(escaped("../x?й"), "%2E%2E%2Fx%3F%D0%B9");
    }
}
