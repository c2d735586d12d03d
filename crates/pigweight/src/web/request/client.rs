//! The client of the current request, as a task-local value.

use std::net::{IpAddr, Ipv4Addr};

tokio::task_local! {
    static CLIENT: IpAddr;
}

/// Runs a handler on behalf of a client.
pub async fn scope<T>(client: IpAddr, answer: impl Future<Output = T>) -> T {
    CLIENT.scope(client, answer).await
}

/// The client of the current request; the loopback address outside of requests.
pub fn current() -> IpAddr {
    CLIENT.try_with(|client| *client).unwrap_or(Ipv4Addr::LOCALHOST.into())
}
