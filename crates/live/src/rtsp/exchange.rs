//! Requests and responses between retina, which believes the camera to be at the relay, and the camera. No I/O.
//!
//! Authentication is done here: a digest covers the address in the request, and retina knows the relay's only. A nonce that the camera has
//! let expire is replaced, also while the camera plays.

use crate::address::{CameraAddress, Credentials};
use crate::challenge::answerer;
use crate::rtsp::message::Head;
use http_auth::{PasswordClient, PasswordParams};
use std::collections::VecDeque;

/// Requests without an answer. Retina sends one at a time.
const MOST_PENDING: usize = 8;
/// RTSP's default, seconds.
const SESSION_TIMEOUT_SECS: u32 = 60;

/// The state of one connection.
pub(crate) struct Exchange {
    /// How the camera names itself, as in `rtsp://192.168.1.20`.
    origin: String,
    /// How retina names it.
    local: String,
    credentials: Option<Credentials>,
    is_digest_only: bool,
    auth: Option<PasswordClient>,
    sent: u32,
    pending: VecDeque<Pending>,
}

struct Pending {
    /// On the way to the camera, and retina's.
    number: u32,
    client_number: Option<String>,
    head: Head,
    is_repeated: bool,
}

/// What is done with a response.
pub(crate) enum Answer {
    /// The request is sent again, with the password.
    Repeat(Vec<u8>),
    /// Retina receives it. `method` is the request's.
    Deliver { head: Head, body: Vec<u8>, method: String },
}

impl Exchange {
    /// With the camera at `address`, which retina knows as `local`, such as `rtsp://127.0.0.1:40000`.
    pub(crate) fn new(address: &CameraAddress, local: String) -> Self {
        Self {
            origin: address.origin(),
            local,
            credentials: address.credentials().cloned(),
            is_digest_only: address.is_digest_only(),
            auth: None,
            sent: 0,
            pending: VecDeque::new(),
        }
    }

    /// Retina's request, as the camera receives it.
    pub(crate) fn request(&mut self, mut head: Head) -> Vec<u8> {
        head.first_line = moved_text(&head.first_line, &self.local, &self.origin);
        let client_number = head.get("CSeq").map(str::to_owned);
        self.send(Pending { number: 0, client_number, head, is_repeated: false })
    }

    fn send(&mut self, mut request: Pending) -> Vec<u8> {
        self.sent += 1;
        request.number = self.sent;
        request.head.set("CSeq", Some(self.sent.to_string()));
        let authorization = self.authorization(&request.head.first_line);
        request.head.set("Authorization", authorization);
        let bytes = request.head.bytes(&[]);
        if self.pending.len() == MOST_PENDING {
            self.pending.pop_front();
        }
        self.pending.push_back(request);
        bytes
    }

    fn authorization(&mut self, first_line: &str) -> Option<String> {
        let (auth, known) = (self.auth.as_mut()?, self.credentials.as_ref()?);
        let mut words = first_line.split(' ');
        let (method, uri) = (words.next()?, words.next()?);
        let parameters =
            PasswordParams { username: &known.user, password: &known.password, uri, method, body: Some(&[]) };
        auth.respond(&parameters).ok()
    }

    /// The camera's response.
    pub(crate) fn response(&mut self, mut head: Head, mut body: Vec<u8>) -> Answer {
        let number = head.get("CSeq").and_then(|number| number.parse::<u32>().ok());
        let at = match number {
            Some(number) => self.pending.iter().position(|request| request.number == number),
            // Some cameras leave it out where there is one request only.
            None => (self.pending.len() == 1).then_some(0),
        };
        let Some(request) = at.and_then(|at| self.pending.remove(at)) else {
            // Retina says what is wrong with it.
            return Answer::Deliver { head, body, method: String::new() };
        };
        if status(&head) == Some(401)
            && !request.is_repeated
            && self.credentials.is_some()
            && let Ok(auth) = answerer(head.all("WWW-Authenticate"), self.is_digest_only)
        {
            self.auth = Some(auth);
            return Answer::Repeat(self.send(Pending { is_repeated: true, ..request }));
        }
        head.set("CSeq", request.client_number);
        let method = request.head.first_line.split(' ').next().unwrap_or_default().to_owned();
        if method == "DESCRIBE" {
            self.localize(&mut head, &mut body);
        }
        let info = head.get("RTP-Info").map(|info| moved_text(info, &self.origin, &self.local));
        head.set("RTP-Info", info);
        let session = head.get("Session").map(session);
        head.set("Session", session);
        Answer::Deliver { head, body, method }
    }

    /// The addresses in a description become retina's: it connects to them when it ends a session later.
    fn localize(&mut self, head: &mut Head, body: &mut Vec<u8>) {
        for name in ["Content-Base", "Content-Location"] {
            let Some(base) = head.get(name).filter(|base| !base.is_empty()).map(str::to_owned) else {
                head.set(name, None);
                continue;
            };
            // Some cameras leave the scheme out, as in `10.0.0.5/stream/`.
            let base =
                if base.contains("://") { base } else { format!("rtsp://{}", base.trim_start_matches('/')) };
            let place = base.find("://").map_or(0, |at| at + 3);
            let end = base[place..].find(['/', '?']).map_or(base.len(), |at| place + at);
            self.origin = base[..end].to_owned();
            head.set(name, Some(format!("{}{}", self.local, &base[end..])));
            break;
        }
        *body = moved(body, self.origin.as_bytes(), self.local.as_bytes());
        head.set("Content-Length", Some(body.len().to_string()));
    }
}

/// The status code of a response.
fn status(head: &Head) -> Option<u16> {
    head.first_line.split(' ').nth(1)?.parse().ok()
}

/// A session header that retina reads: identifier and timeout alone. Some cameras state a timeout of 0, and mean that there is none.
fn session(value: &str) -> String {
    let mut parts = value.split(';').map(str::trim);
    let id = parts.next().unwrap_or_default();
    let stated = parts.find_map(|part| part.strip_prefix("timeout=")?.trim().parse().ok());
    let secs = stated.filter(|&secs: &u32| secs > 0).unwrap_or(SESSION_TIMEOUT_SECS);
    format!("{id};timeout={secs}")
}

fn moved_text(text: &str, from: &str, to: &str) -> String {
    String::from_utf8_lossy(&moved(text.as_bytes(), from.as_bytes(), to.as_bytes())).into_owned()
}

/// Replaces an origin wherever it stands whole: `rtsp://10.0.0.1` isn't part of `rtsp://10.0.0.12`.
fn moved(text: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    let mut new = Vec::with_capacity(text.len());
    let mut at = 0;
    while at < text.len() {
        let rest = &text[at..];
        let is_whole = rest.starts_with(from)
            && rest.get(from.len()).is_none_or(|next| {
                !next.is_ascii_alphanumeric() && !matches!(next, b'.' | b':' | b'-' | b'@')
            });
        if is_whole {
            new.extend_from_slice(to);
            at += from.len();
        } else {
            new.push(text[at]);
            at += 1;
        }
    }
    new
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

    use super::*;

    async fn head(text: &str) -> Head {
        Head::read(&mut text.as_bytes(), |_| Ok(())).await.unwrap()
    }

    fn exchange(address: &str) -> Exchange {
        Exchange::new(&CameraAddress::parse(address).unwrap(), "rtsp://127.0.0.1:4000".into())
    }

    async fn describe(exchange: &mut Exchange) -> String {
        let request = head("DESCRIBE rtsp://127.0.0.1:4000/s RTSP/1.0\r\nCSeq: 7\r\n\r\n").await;
        String::from_utf8(exchange.request(request)).unwrap()
    }

    #[tokio::test]
    async fn the_camera_reads_its_own_address_and_retina_that_of_the_relay() {
        let mut exchange = exchange("rtsp://10.0.0.1/s");
        let sent = describe(&mut exchange).await;
        assert!(sent.starts_with("DESCRIBE rtsp://10.0.0.1/s RTSP/1.0\r\nCSeq: 1\r\n"), "{sent}");
        let answer =
            head("RTSP/1.0 200 OK\r\nCSeq: 1\r\nContent-Base: rtsp://192.168.0.9:554/s/\r\n\r\n").await;
        let body = b"a=control:rtsp://192.168.0.9:554/s/1\r\na=x:rtsp://192.168.0.9:5540/".to_vec();
        let Answer::Deliver { head: delivered, body, method } = exchange.response(answer, body) else {
            panic!()
        };
        assert_eq!(method, "DESCRIBE");
        assert_eq!(delivered.get("CSeq"), Some("7"));
        assert_eq!(delivered.get("Content-Base"), Some("rtsp://127.0.0.1:4000/s/"));
        let body = String::from_utf8(body).unwrap();
        assert_eq!(body, "a=control:rtsp://127.0.0.1:4000/s/1\r\na=x:rtsp://192.168.0.9:5540/");
        assert_eq!(delivered.get("Content-Length"), Some(body.len().to_string().as_str()));
        // What follows goes to where the camera says that it is.
        let setup = head("SETUP rtsp://127.0.0.1:4000/s/1 RTSP/1.0\r\nCSeq: 8\r\n\r\n").await;
        let setup = String::from_utf8(exchange.request(setup)).unwrap();
        assert!(setup.starts_with("SETUP rtsp://192.168.0.9:554/s/1 RTSP/1.0"), "{setup}");
    }

    #[tokio::test]
    async fn an_expired_nonce_is_replaced_and_a_wrong_password_is_tried_once() {
        let mut exchange = exchange("rtsp://cam:secret@10.0.0.1/s");
        let challenge = |number: u32, nonce: &str| {
            let answer = format!(
                "RTSP/1.0 401 Unauthorized\r\nCSeq: {number}\r\nWWW-Authenticate: Digest realm=\"c\", nonce=\"{nonce}\"\r\nWWW-Authenticate: Basic realm=\"c\"\r\n\r\n"
            );
            async move { head(&answer).await }
        };
        assert!(!describe(&mut exchange).await.contains("Authorization"));
        let Answer::Repeat(again) = exchange.response(challenge(1, "one").await, Vec::new()) else {
            panic!()
        };
        let again = String::from_utf8(again).unwrap();
        assert!(again.contains("CSeq: 2\r\n") && again.contains("nonce=\"one\""), "{again}");
        assert!(again.contains("uri=\"rtsp://10.0.0.1/s\"") && !again.contains("secret"), "{again}");
        // Refused with the password: it is wrong.
        let refused = exchange.response(challenge(2, "two").await, Vec::new());
        assert!(matches!(refused, Answer::Deliver { .. }));
        // A later request is refused because its nonce is old.
        assert!(describe(&mut exchange).await.contains("nonce=\"one\""));
        let Answer::Repeat(again) = exchange.response(challenge(3, "three").await, Vec::new()) else {
            panic!()
        };
        assert!(String::from_utf8(again).unwrap().contains("nonce=\"three\""));
    }

    #[test]
    fn session_headers_that_retina_refuses_are_mended() {
        assert_eq!(session("77;timeout=0"), "77;timeout=60");
        assert_eq!(session("77"), "77;timeout=60");
        assert_eq!(session("77; timeout=30"), "77;timeout=30");
        assert_eq!(session("77;Timeout;x=1;timeout=20;y"), "77;timeout=20");
        assert_eq!(session("77;timeout=never"), "77;timeout=60");
    }

    #[tokio::test]
    async fn an_answer_without_a_number_belongs_to_the_only_request_and_others_are_passed_on() {
        let mut exchange = exchange("rtsp://10.0.0.1/s");
        describe(&mut exchange).await;
        let stranger = exchange.response(head("RTSP/1.0 200 OK\r\nCSeq: 99\r\n\r\n").await, Vec::new());
        assert!(matches!(stranger, Answer::Deliver { method, .. } if method.is_empty()));
        let Answer::Deliver { head, .. } =
            exchange.response(head("RTSP/1.0 200 OK\r\n\r\n").await, Vec::new())
        else {
            panic!()
        };
        assert_eq!(head.get("CSeq"), Some("7"));
    }
}
