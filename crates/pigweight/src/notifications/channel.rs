//! A way to other programs, a webhook or the broker, and how it is doing.

use pigweight_store::Reason;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// How a channel is doing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum ChannelState {
    /// Nothing has been sent yet.
    #[default]
    Starting,
    /// The last message was received.
    Working,
    /// It fails and is tried again.
    Failing(Reason),
    /// The receiver wants no more; it isn't tried again.
    Ended(Reason),
}

impl ChannelState {
    /// What is wrong.
    pub fn trouble(&self) -> Option<&Reason> {
        match self {
            Self::Starting | Self::Working => None,
            Self::Failing(reason) | Self::Ended(reason) => Some(reason),
        }
    }
}

/// A channel at a moment.
#[derive(Clone, Debug, Default)]
pub struct ChannelReport {
    /// How it is doing.
    pub state: ChannelState,
    /// When a message was last received, seconds since 1970.
    pub last_success: Option<i64>,
    /// Messages that can't be delivered any more, because the receiver was away for too long.
    pub lost: i64,
}

/// A channel, shared by the task that uses it and those who ask.
#[derive(Debug)]
pub struct Channel {
    /// Scheme, host and port: an address may hold a secret.
    name: String,
    report: Mutex<ChannelReport>,
}

impl Channel {
    /// Nothing has been sent yet.
    pub fn new(name: String) -> Self {
        Self { name, report: Mutex::default() }
    }

    /// For people: scheme, host and port.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// How it is doing.
    pub fn report(&self) -> ChannelReport {
        self.lock().clone()
    }

    /// A message was received.
    pub fn succeed(&self) {
        let mut report = self.lock();
        if let ChannelState::Failing(_) = report.state {
            tracing::info!("{} receives again", self.name);
        }
        report.state = ChannelState::Working;
        report.last_success = Some(jiff::Timestamp::now().as_second());
    }

    /// It fails, or has ended. The same reason is logged once.
    pub fn fail(&self, state: ChannelState) {
        let mut report = self.lock();
        if let Some(reason) = state.trouble().filter(|_| report.state != state) {
            tracing::warn!("{reason}");
        }
        report.state = state;
    }

    /// So many messages can't be delivered any more.
    pub fn lose(&self, number: i64) {
        self.lock().lost += number;
    }

    fn lock(&self) -> MutexGuard<'_, ChannelReport> {
        // Each change is whole before the lock is given back.
        self.report.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
