//! One try to deliver an event by HTTP.
//!
//! Blocks, at most ten seconds. Redirects aren't followed: they would take an event, and what its address holds, elsewhere. Of the
//! answer only the status counts.

use crate::notifications::signature::SigningKey;
use crate::notifications::tls;
use jiff::Timestamp;
use std::fmt;
use std::io::Read as _;
use std::time::Duration;
use ureq::http::{HeaderMap, StatusCode, header};
use ureq::tls::{Certificate, RootCerts, TlsConfig};
use url::Url;

/// Of a whole request.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Of an answer's body that is read, so that the connection can be used again; what is longer ends the connection.
const MOST_ANSWER_BYTES: u64 = 16 * 1024;
/// The longest time that a receiver may ask to be left alone.
const LONGEST_WAIT: Duration = Duration::from_secs(3600);

/// What a receiver answered.
#[derive(Debug, PartialEq, Eq)]
pub enum Answer {
    /// It has the event.
    Received,
    /// It wants no more events (410).
    Gone,
    /// It wants to be left alone for so long (429, 503).
    Busy(Duration),
    /// It has not got it: why.
    Failed(String),
}

/// Delivers events to one receiver.
pub struct WebhookClient {
    agent: ureq::Agent,
    url: Url,
    key: SigningKey,
}

/// Without the address, which may hold a secret.
impl fmt::Debug for WebhookClient {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.write_str("WebhookClient(..)")
    }
}

impl WebhookClient {
    /// Connects to nothing yet.
    ///
    /// # Errors
    /// If the address needs TLS and this machine's certificates can't be read.
    pub fn new(url: Url, key: SigningKey) -> anyhow::Result<Self> {
        let mut config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .timeout_global(Some(TIMEOUT))
            .user_agent(concat!("PigWeight/", env!("CARGO_PKG_VERSION")));
        if url.scheme() == "https" {
            let certificates = tls::trusted_by_machine()?;
            let certificates: Vec<_> = certificates
                .iter()
                .map(|certificate| Certificate::from_der(certificate).to_owned())
                .collect();
            let settings = TlsConfig::builder()
                .root_certs(RootCerts::new_with_certs(&certificates))
                .unversioned_rustls_crypto_provider(tls::provider());
            config = config.tls_config(settings.build());
        }
        Ok(Self { agent: config.build().into(), url, key })
    }

    /// Sends an event once. Blocks.
    pub fn deliver(&self, id: &str, body: &str) -> Answer {
        let unix_secs = Timestamp::now().as_second();
        let Some(signature) = self.key.sign(id, unix_secs, body) else {
            return Answer::Failed("its secret can't sign".to_owned());
        };
        let sent = self
            .agent
            .post(self.url.as_str())
            .header(header::CONTENT_TYPE, "application/json")
            .header("webhook-id", id)
            .header("webhook-timestamp", unix_secs.to_string())
            .header("webhook-signature", signature)
            .send(body);
        let mut response = match sent {
            Ok(response) => response,
            // An error names hosts and causes, never the path of the address.
            Err(ureq::Error::BadUri(_)) => return Answer::Failed("its address can't be used".to_owned()),
            Err(error) => return Answer::Failed(error.to_string()),
        };
        let answer = read_answer(response.status(), response.headers(), Timestamp::now());
        let mut ignored = Vec::new();
        // The status was the answer; a body that breaks off changes nothing.
        let _read = response.body_mut().as_reader().take(MOST_ANSWER_BYTES).read_to_end(&mut ignored);
        answer
    }
}

fn read_answer(status: StatusCode, headers: &HeaderMap, now: Timestamp) -> Answer {
    if status.is_success() {
        return Answer::Received;
    }
    match status {
        StatusCode::GONE => Answer::Gone,
        StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => {
            let asked = headers.get(header::RETRY_AFTER).and_then(|value| value.to_str().ok());
            asked
                .and_then(|asked| retry_after(asked, now))
                .map_or_else(|| Answer::Failed(format!("it answers {status}")), Answer::Busy)
        }
        _ if status.is_redirection() => Answer::Failed(format!(
            "it answers {status}, and redirects are not followed; give the new address as webhooks.url"
        )),
        _ => Answer::Failed(format!("it answers {status}")),
    }
}

/// Seconds, or a date (RFC 9110, section 10.2.3).
fn retry_after(text: &str, now: Timestamp) -> Option<Duration> {
    let text = text.trim();
    let wait = match text.parse::<u64>() {
        Ok(secs) => Duration::from_secs(secs),
        Err(_) => {
            let until = jiff::fmt::rfc2822::parse(text).ok()?.timestamp();
            Duration::from_secs(u64::try_from(until.as_second() - now.as_second()).unwrap_or(0))
        }
    };
    Some(wait.clamp(Duration::from_secs(1), LONGEST_WAIT))
}

#[cfg(test)]
mod tests {
    use super::*;
    use ureq::http::HeaderValue;

    #[test]
    fn a_receiver_says_when_it_wants_to_be_asked_again() {
        let now: Timestamp = "1994-11-06T08:49:30Z".parse().unwrap();
        let answer = |status: u16, retry: Option<&'static str>| {
            let retry = retry.map(|value| (header::RETRY_AFTER, HeaderValue::from_static(value)));
            read_answer(StatusCode::from_u16(status).unwrap(), &retry.into_iter().collect(), now)
        };
        let busy = |secs| Answer::Busy(Duration::from_secs(secs));
        assert_eq!(answer(204, None), Answer::Received);
        assert_eq!(answer(410, Some("5")), Answer::Gone);
        assert_eq!(answer(429, Some("5")), busy(5));
        assert_eq!(answer(503, Some("Sun, 06 Nov 1994 08:49:37 GMT")), busy(7));
        assert_eq!(answer(503, Some("Sun, 06 Nov 1994 08:00:00 GMT")), busy(1));
        assert_eq!(answer(503, Some("999999999999")), busy(3600));
        for (status, retry) in [(503, None), (503, Some("soon")), (500, Some("5")), (302, None), (404, None)]
        {
            assert!(matches!(answer(status, retry), Answer::Failed(_)), "{status}");
        }
    }
}
