//! Limits of every WebSocket.

use axum::extract::ws::{Message, WebSocketUpgrade};
use futures::{Sink, SinkExt as _};
use std::time::Duration;

/// Clients send no messages of their own.
const MOST_RECEIVED_BYTES: usize = 4096;
/// Read at a time.
const READ_BUFFER_BYTES: usize = 8 << 10;
/// What may lie unsent besides a message: answers to pings.
const SPARE_BYTES: usize = 64 << 10;
/// A client that doesn't take a message for so long is given up.
pub const SEND_TIMEOUT: Duration = Duration::from_secs(15);

/// The socket's bounds; no message to it is longer than `most_sent_bytes`. Without one, a client that sends pings and reads nothing would fill the memory with the answers.
pub fn bounded(upgrade: WebSocketUpgrade, most_sent_bytes: usize) -> WebSocketUpgrade {
    upgrade
        .read_buffer_size(READ_BUFFER_BYTES)
        .write_buffer_size(0)
        .max_write_buffer_size(most_sent_bytes + SPARE_BYTES)
        .max_message_size(MOST_RECEIVED_BYTES)
        .max_frame_size(MOST_RECEIVED_BYTES)
}

/// Sends a message. Returns whether the client has taken it in time.
pub async fn send(socket: &mut (impl Sink<Message, Error = axum::Error> + Unpin), message: Message) -> bool {
    matches!(tokio::time::timeout(SEND_TIMEOUT, socket.send(message)).await, Ok(Ok(())))
}
