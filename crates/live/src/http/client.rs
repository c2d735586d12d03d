//! Requests to one camera: authentication, redirections, and connections that are used again.

use crate::address::CameraAddress;
use crate::challenge::{Unanswered, answerer};
use crate::dial::Dialler;
use crate::failure::Failure;
use http_auth::{PasswordClient, PasswordParams};
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1::{Builder, SendRequest};
use hyper::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HOST, LOCATION, USER_AGENT, WWW_AUTHENTICATE};
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use std::sync::Arc;
use tokio::task::JoinSet;

/// Redirections that are followed.
const MOST_REDIRECTIONS: usize = 3;
/// Of an answer, all its headers together.
const MOST_HEAD_BYTES: usize = 64 << 10;
const MOST_HEADERS: usize = 64;

/// What one camera is asked.
pub(crate) struct Question {
    method: Method,
    accept: &'static str,
    content_type: Option<String>,
    body: Bytes,
}

impl Question {
    /// For pictures.
    fn picture() -> Self {
        let accept = "multipart/x-mixed-replace, image/jpeg, */*;q=0.1";
        Self { method: Method::GET, accept, content_type: None, body: Bytes::new() }
    }

    /// A message that changes nothing: if the connection breaks, it is sent again.
    pub(crate) fn message(content_type: String, body: String) -> Self {
        Self { method: Method::POST, accept: "*/*", content_type: Some(content_type), body: body.into() }
    }
}

/// Asks one camera.
pub(crate) struct HttpClient {
    dialler: Arc<Dialler>,
    auth: Option<PasswordClient>,
    connection: Option<SendRequest<Full<Bytes>>>,
    /// Runs the connection; dropping it closes it.
    driver: JoinSet<()>,
}

impl HttpClient {
    pub(crate) fn new(dialler: Arc<Dialler>) -> Self {
        Self { dialler, auth: None, connection: None, driver: JoinSet::new() }
    }

    /// The camera's answer to a request for pictures, which is a success.
    ///
    /// # Errors
    /// Why there is none.
    pub(crate) async fn get(&mut self) -> Result<Response<Incoming>, Failure> {
        let response = self.answer(&Question::picture()).await?;
        let failure = match response.status() {
            status if status.is_success() => return Ok(response),
            StatusCode::UNAUTHORIZED => self.unanswered(&response),
            StatusCode::FORBIDDEN => Failure::WrongPassword,
            StatusCode::NOT_FOUND | StatusCode::GONE => Failure::NoSuchStream,
            status => {
                let reason = status.canonical_reason().unwrap_or("an error").to_owned();
                Failure::Refused { status: status.as_u16(), reason }
            }
        };
        // What stands in the answer is of no use, and could be endless.
        self.close();
        Err(failure)
    }

    /// The camera's answer, which may be an error. Its redirections are followed, and its challenges answered as far as that can be done.
    ///
    /// # Errors
    /// Why there is none.
    pub(crate) async fn answer(&mut self, question: &Question) -> Result<Response<Incoming>, Failure> {
        let mut has_tried_password = false;
        for _ in 0..=MOST_REDIRECTIONS + 1 {
            let response = self.ask(question).await?;
            match response.status() {
                StatusCode::UNAUTHORIZED if !has_tried_password && self.knows_password() => {
                    has_tried_password = true;
                    match answerer(challenges(&response), self.dialler.address().is_digest_only()) {
                        Ok(auth) => self.auth = Some(auth),
                        Err(_) => return Ok(response),
                    }
                }
                status if status.is_redirection() => self.follow(&response)?,
                _ => return Ok(response),
            }
            self.close();
        }
        Err(Failure::Ended { reason: "it redirects again and again".to_owned() })
    }

    fn knows_password(&self) -> bool {
        self.dialler.address().credentials().is_some()
    }

    /// Why a challenge is the camera's last word.
    fn unanswered(&self, response: &Response<Incoming>) -> Failure {
        if !self.knows_password() || self.auth.is_some() {
            return Failure::WrongPassword;
        }
        match answerer(challenges(response), self.dialler.address().is_digest_only()) {
            Ok(_) => Failure::WrongPassword,
            Err(Unanswered::Plain) => Failure::PlainPassword,
            Err(Unanswered::Unsupported) => Failure::Ended {
                reason: "it asks for a password in a way that isn't supported; basic and digest are"
                    .to_owned(),
            },
        }
    }

    /// Whether the camera was told the password, or a digest of it.
    pub(crate) fn has_used_password(&self) -> bool {
        self.auth.is_some()
    }

    fn close(&mut self) {
        self.connection = None;
        self.driver.abort_all();
    }

    /// The same camera at another address. Another host is told neither the password nor anything else: a person enters addresses, not a camera.
    fn follow(&mut self, response: &Response<Incoming>) -> Result<(), Failure> {
        let before = self.dialler.address();
        let location = response.headers().get(LOCATION).and_then(|to| to.to_str().ok());
        let to = location.and_then(|to| before.url().join(to).ok());
        let to = to.and_then(|to| CameraAddress::parse(to.as_str()).ok());
        let is_same = |to: &CameraAddress| {
            to.url().host_str() == before.url().host_str()
                && matches!(to.url().scheme(), "http" | "https")
                && (to.scheme().is_encrypted() || !before.scheme().is_encrypted())
        };
        match to {
            Some(to) if is_same(&to) => {
                let to = to.with_credentials(before.credentials().cloned());
                let to = match before.fingerprint() {
                    Some(known) => to.with_fingerprint(known),
                    None => to,
                };
                let to = if before.is_digest_only() { to.with_digest_only() } else { to };
                self.dialler = Arc::new(Dialler::new(to));
                Ok(())
            }
            to => Err(Failure::Redirected { to: to.map_or_else(|| "nowhere".to_owned(), |to| to.host()) }),
        }
    }

    /// One request, over the connection that is open, or over another.
    async fn ask(&mut self, question: &Question) -> Result<Response<Incoming>, Failure> {
        if let Some(open) = &mut self.connection {
            let is_ready = open.ready().await.is_ok();
            let request = self.request(question)?;
            // A camera may close a connection while the next request is on its way.
            if let (true, Some(open)) = (is_ready, &mut self.connection)
                && let Ok(response) = open.send_request(request).await
            {
                return Ok(response);
            }
            self.close();
        }
        let stream = self.dialler.dial().await?.stream;
        let host = self.dialler.address().host();
        let not_http =
            |error: hyper::Error| Failure::NotHttp { host: host.clone(), reason: error.to_string() };
        let (mut connection, driver) = Builder::new()
            .max_buf_size(MOST_HEAD_BYTES)
            .max_headers(MOST_HEADERS)
            .ignore_invalid_headers_in_responses(true)
            .allow_spaces_after_header_name_in_responses(true)
            .handshake(TokioIo::new(stream))
            .await
            .map_err(not_http)?;
        self.driver.spawn(async move {
            // The body of the answer tells its error.
            let _ended = driver.await;
        });
        while self.driver.try_join_next().is_some() {}
        let request = self.request(question)?;
        let answered = connection.send_request(request).await;
        let response = answered.map_err(|error| match error.is_parse() {
            true => Failure::NotHttp { host: host.clone(), reason: error.to_string() },
            false => Failure::Ended { reason: error.to_string() },
        })?;
        self.connection = Some(connection);
        Ok(response)
    }

    fn request(&mut self, question: &Question) -> Result<Request<Full<Bytes>>, Failure> {
        let address = self.dialler.address();
        let mut uri = address.path().to_owned();
        if let Some(end) = uri.find('#') {
            uri.truncate(end);
        }
        let mut request = Request::builder()
            .method(&question.method)
            .uri(&uri)
            .header(HOST, address.host())
            .header(ACCEPT, question.accept)
            .header(USER_AGENT, concat!("PigWeight/", env!("CARGO_PKG_VERSION")));
        if let Some(content_type) = &question.content_type {
            request = request.header(CONTENT_TYPE, content_type);
        }
        if let (Some(auth), Some(known)) = (&mut self.auth, address.credentials()) {
            let parameters = PasswordParams {
                username: &known.user,
                password: &known.password,
                uri: &uri,
                method: question.method.as_str(),
                body: Some(&question.body),
            };
            let authorization = auth.respond(&parameters).map_err(|reason| Failure::Ended { reason })?;
            request = request.header(AUTHORIZATION, authorization);
        }
        request.body(Full::new(question.body.clone())).map_err(|_| Failure::NoSuchStream)
    }
}

/// How the camera may be told the password.
fn challenges(response: &Response<Incoming>) -> impl Iterator<Item = &str> {
    let headers = response.headers().get_all(WWW_AUTHENTICATE).iter();
    headers.map(|value| value.to_str().unwrap_or_default())
}
