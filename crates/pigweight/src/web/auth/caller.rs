//! The caller of a request, and its permissions.
//!
//! Every handler takes a [`Caller`] first, and accesses videos, jobs and lines through it (`gate.rs`). So far there is one caller, the
//! local one, with all permissions; [`Authenticator`] is the place for passwords and tokens.

use crate::web::request::problem::Problem;
use axum::http::request::Parts;

/// Permissions.
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

/// Identifies who sent a request.
pub trait Authenticator: Send + Sync {
    /// The caller, or a 401 response.
    ///
    /// # Errors
    /// If the request doesn't identify its sender.
    fn authenticate(&self, request: &Parts) -> Result<Caller, Problem>;
}

/// Treats every client as the local caller.
pub struct LocalAuthenticator;

impl Authenticator for LocalAuthenticator {
    fn authenticate(&self, _request: &Parts) -> Result<Caller, Problem> {
        Ok(Caller::new(Permissions { view: true, operate: true }))
    }
}

impl Caller {
    /// Requires this permission.
    pub fn new(permissions: Permissions) -> Self {
        Self { permissions }
    }

    /// # Errors
    /// 403 if the caller may not see anything.
    pub fn view(&self) -> Result<(), Problem> {
        allow(self.permissions.view, "see this")
    }

    /// # Errors
    /// 403 if the caller may not change anything.
    pub fn operate(&self) -> Result<(), Problem> {
        self.view()?;
        allow(self.permissions.operate, "change this")
    }
}

fn allow(may: bool, what: &str) -> Result<(), Problem> {
    if may {
        return Ok(());
    }
    Err(Problem::forbidden(format!(
        "you may not {what}; ask the administrator of this server for permission"
    )))
}
