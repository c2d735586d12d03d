//! Rejects requests whose `Host` isn't this server.
//!
//! A page on the internet can have its own name point to 127.0.0.1, or to a farm's server, once it is open in a browser there (DNS rebinding).
//! For the browser, server and page are then the same site. But the browser still says which name it asked for, and this server has no such name.

use crate::config::hosts::KnownHosts;
use crate::web::app::Shared;
use crate::web::request::problem::Problem;
use axum::extract::Request;
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};

/// Refuses requests for other servers.
pub async fn guard(app: Shared, request: Request, next: Next) -> Response {
    match foreign_host(&app.known_hosts, request.uri(), request.headers()) {
        None => next.run(request).await,
        Some(host) => {
            let host: String =
                host.chars().filter(|character| character.is_ascii_graphic()).take(100).collect();
            let detail = format!(
                "this server isn't known as \"{host}\"; open it by its IP address, or add the name to allowed_hosts in its configuration"
            );
            Problem::new(StatusCode::MISDIRECTED_REQUEST, detail).into_response()
        }
    }
}

/// The host of a request that is for another server. A program that speaks HTTP/1.0 names none; browsers always do.
fn foreign_host(known: &KnownHosts, uri: &Uri, headers: &HeaderMap) -> Option<String> {
    let named = headers.get_all(header::HOST).iter().map(|host| host.to_str().unwrap_or("").to_owned());
    let in_uri = uri.authority().map(|authority| authority.as_str().to_owned());
    named.chain(in_uri).find(|host| !known.has(host))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_host_that_a_request_names_has_to_be_known() {
        let known = KnownHosts::new(&[]);
        let foreign = |uri: &'static str, hosts: &[&'static str]| {
            let mut headers = HeaderMap::new();
            for host in hosts {
                headers.append(header::HOST, axum::http::HeaderValue::from_bytes(host.as_bytes()).unwrap());
            }
            foreign_host(&known, &Uri::from_static(uri), &headers)
        };
        assert_eq!(foreign("/api/videos", &["localhost"]), None);
        assert_eq!(foreign("/api/videos", &[]), None);
        assert_eq!(foreign("http://localhost/api/videos", &["localhost"]), None);
        assert_eq!(foreign("http://evil.example/", &["localhost"]).as_deref(), Some("evil.example"));
        assert_eq!(foreign("/", &["localhost", "evil.example"]).as_deref(), Some("evil.example"));
        assert_eq!(foreign("/", &["\u{e9}vil.example"]).as_deref(), Some(""));
    }
}
