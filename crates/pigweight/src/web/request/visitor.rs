//! Whose request is being answered: known to everything that its handler calls.

use std::net::{IpAddr, Ipv4Addr};

tokio::task_local! {
    static VISITOR: IpAddr;
}

/// Answers a request of a visitor.
pub async fn scope<T>(visitor: IpAddr, answer: impl Future<Output = T>) -> T {
    VISITOR.scope(visitor, answer).await
}

/// Whose request it is; this machine's own outside of requests.
pub fn current() -> IpAddr {
    VISITOR.try_with(|visitor| *visitor).unwrap_or(Ipv4Addr::LOCALHOST.into())
}
