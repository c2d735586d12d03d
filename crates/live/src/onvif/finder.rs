//! Searches and asks at the same time: a device is asked as soon as it has answered.

use crate::address::Credentials;
use crate::onvif::device::{DeviceReport, ask_device};
use crate::onvif::search::{MOST_DEVICES, ProbeMatch, SearchEnd, SearchError, search};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinSet;

/// Devices that are asked at the same time.
const ASKED_AT_ONCE: usize = 8;

/// What is new in a search. Devices are numbered from 0, in the order in which they answered.
#[derive(Clone, Debug)]
pub enum Found {
    /// A device has answered, and is asked now.
    Device(usize, Box<ProbeMatch>),
    /// A device was asked.
    Report(usize, Box<DeviceReport>),
    /// No more devices are waited for; some may still be asked.
    Searched(SearchEnd),
}

/// Searches for this long, and asks what answers. Returns when all have been asked; dropping it ends all at once.
///
/// # Errors
/// [`SearchError`].
pub async fn find(
    listen_for: Duration,
    known: Option<&Credentials>,
    mut tell: impl FnMut(Found),
) -> Result<(), SearchError> {
    let (found, mut answered) = mpsc::channel(MOST_DEVICES);
    let mut searching = JoinSet::new();
    searching.spawn(async move { search(listen_for, &found).await });
    let mut asking = Asking::new(known);
    let mut number = 0;
    loop {
        tokio::select! {
            Some(device) = answered.recv() => {
                tell(Found::Device(number, Box::new(device.clone())));
                asking.ask(number, device);
                number += 1;
            }
            Some(ended) = searching.join_next() => {
                let Some(end) = joined(ended) else { return Ok(()) };
                let end = end?;
                // What it told last.
                while let Ok(device) = answered.try_recv() {
                    tell(Found::Device(number, Box::new(device.clone())));
                    asking.ask(number, device);
                    number += 1;
                }
                tell(Found::Searched(end));
            }
            Some((number, report)) = asking.next() => tell(Found::Report(number, report)),
            else => return Ok(()),
        }
    }
}

/// Asks devices that are known already: with other credentials, for example.
pub async fn ask_again(
    devices: Vec<(usize, ProbeMatch)>,
    known: Option<&Credentials>,
    mut tell: impl FnMut(Found),
) {
    let mut asking = Asking::new(known);
    for (number, device) in devices {
        asking.ask(number, device);
    }
    while let Some((number, report)) = asking.next().await {
        tell(Found::Report(number, report));
    }
}

struct Asking {
    known: Option<Credentials>,
    places: Arc<Semaphore>,
    tasks: JoinSet<(usize, Box<DeviceReport>)>,
}

impl Asking {
    fn new(known: Option<&Credentials>) -> Self {
        let places = Arc::new(Semaphore::new(ASKED_AT_ONCE));
        Self { known: known.cloned(), places, tasks: JoinSet::new() }
    }

    fn ask(&mut self, number: usize, device: ProbeMatch) {
        let (known, places) = (self.known.clone(), self.places.clone());
        self.tasks.spawn(async move {
            // It is never closed.
            let _place = places.acquire_owned().await;
            (number, Box::new(ask_device(&device, known.as_ref()).await))
        });
    }

    async fn next(&mut self) -> Option<(usize, Box<DeviceReport>)> {
        joined(self.tasks.join_next().await?)
    }
}

/// `None`: the runtime is ending.
fn joined<T>(ended: Result<T, tokio::task::JoinError>) -> Option<T> {
    match ended {
        Ok(value) => Some(value),
        Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
        Err(_) => None,
    }
}
