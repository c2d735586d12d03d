//! The caller of a request, and what it may do.
//!
//! Every handler takes a [`Caller`] first, and reaches videos, jobs and lines through it (`gate.rs`). Today there is one caller, the
//! local one, that may do all; [`Authenticator`] is where passwords and tokens come in.

use crate::web::request::problem::Problem;
use axum::http::request::Parts;

/// What a caller may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Permissions {
    /// See videos, counts, jobs and the server's status.
    pub view: bool,
    /// Draw lines, add videos, pause and order jobs.
    pub operate: bool,
}

/// Who sent a request.
#[derive(Clone, Debug)]
pub struct Caller {
    permissions: Permissions,
}

/// Tells who sent a request.
pub trait Authenticator: Send + Sync {
    /// The caller, or the answer to somebody who is none: 401.
    ///
    /// # Errors
    /// Where the request does not say who sends it.
    fn authenticate(&self, request: &Parts) -> Result<Caller, Problem>;
}

/// Takes everybody who reaches the port for the local caller.
pub struct LocalAuthenticator;

impl Authenticator for LocalAuthenticator {
    fn authenticate(&self, _request: &Parts) -> Result<Caller, Problem> {
        Ok(Caller::new(Permissions { view: true, operate: true }))
    }
}

impl Caller {
    /// One that may do this much.
    pub fn new(permissions: Permissions) -> Self {
        Self { permissions }
    }

    /// # Errors
    /// 403 where the caller may not see anything.
    pub fn view(&self) -> Result<(), Problem> {
        allow(self.permissions.view, "see this")
    }

    /// # Errors
    /// 403 where the caller may not change anything.
    pub fn operate(&self) -> Result<(), Problem> {
        self.view()?;
        allow(self.permissions.operate, "change this")
    }
}

fn allow(may: bool, what: &str) -> Result<(), Problem> {
    if may {
        return Ok(());
    }
    Err(Problem::forbidden(format!("you may not {what}; ask whoever runs this server for the permission")))
}
