//! Programs that are told of counts, crossings and states, as the health of the server shows them.

use crate::notifications::channel::{ChannelReport, ChannelState};
use crate::web::api::types::time;
use serde::Serialize;
use utoipa::ToSchema;

/// How a receiver is doing.
#[derive(Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ReceiverState {
    /// Nothing has been sent to it yet.
    Starting,
    /// It received the last message.
    Working,
    /// It can't be reached or doesn't take messages; it is tried again by itself.
    Failing,
    /// It wants no more messages; it is tried again after a restart.
    Ended,
}

/// A webhook, or the MQTT broker.
#[derive(Serialize, ToSchema)]
pub struct Receiver {
    /// Scheme, host and port. The rest of an address may hold a secret.
    pub name: String,
    pub state: ReceiverState,
    /// What is wrong and what to do about it; null if nothing is.
    pub message: Option<String>,
    /// A short name of `message` that stays the same.
    pub reason_code: Option<String>,
    /// When it last received a message, RFC 3339, UTC; null: not since the server started.
    pub last_success: Option<String>,
    /// Events that it never gets, because it was away for too long. Always 0 for MQTT, which is told the latest values.
    pub lost: i64,
}

impl Receiver {
    pub fn of((name, report): (String, ChannelReport)) -> Self {
        let trouble = report.state.trouble();
        Self {
            name,
            state: match report.state {
                ChannelState::Starting => ReceiverState::Starting,
                ChannelState::Working => ReceiverState::Working,
                ChannelState::Failing(_) => ReceiverState::Failing,
                ChannelState::Ended(_) => ReceiverState::Ended,
            },
            message: trouble.map(|reason| reason.text.clone()),
            reason_code: trouble.map(|reason| reason.code.to_owned()),
            last_success: report.last_success.and_then(time),
            lost: report.lost,
        }
    }
}
