//! Searches for cameras on the network, one at a time, and what was found.
//!
//! A search, with the user and password that were entered for it, is forgotten after [`FORGET_AFTER`], when another begins, and when the server
//! stops. The password is in memory alone; found cameras are told digests of it, until a person adds one.

use crate::background::found_picture::{PictureError, picture_of};
use crate::background::job_context::JobContext;
use pigweight_live::address::Credentials;
use pigweight_live::onvif::{Access, DeviceReport, Found, ProbeMatch, Profile, SearchEnd, ask_again, find};
use pigweight_live::{CameraAddress, Failure};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{Notify, Semaphore};
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout_at};

/// How long answers are waited for.
pub const LISTEN_FOR: Duration = Duration::from_secs(4);
/// What was found is kept for this long after the search began or a password was entered.
pub const FORGET_AFTER: Duration = Duration::from_secs(10 * 60);
/// Pictures that are fetched at the same time: each decodes a stream.
const PICTURES_AT_ONCE: usize = 2;
/// Pictures that are kept, of at most 200 kB each.
const MOST_PICTURES: usize = 128;

/// The searches of one server.
pub struct CameraDiscoveries {
    context: Arc<JobContext>,
    current: Mutex<Option<Running>>,
    picturing: Arc<Semaphore>,
}

struct Running {
    discovery: Arc<Discovery>,
    task: JoinHandle<()>,
}

/// Why a search isn't begun.
#[derive(Debug, thiserror::Error)]
#[error("cameras are being searched for already; that takes half a minute at most, so try again then")]
pub struct Busy;

/// One search.
pub struct Discovery {
    id: String,
    state: Mutex<State>,
    /// Credentials were entered.
    entered: Notify,
}

#[derive(Default)]
struct State {
    known: Option<Credentials>,
    /// Credentials were entered, and nobody has been asked with them yet.
    is_entered: bool,
    devices: Vec<FoundDevice>,
    end: Option<SearchEnd>,
    trouble: Option<String>,
    pictures: BTreeMap<(usize, usize), bytes::Bytes>,
    /// Devices whose stream refused the password. Cameras lock out who tries too often.
    refused: BTreeSet<usize>,
}

/// A device that was found.
#[derive(Clone)]
pub struct FoundDevice {
    /// As it answered.
    pub probed: ProbeMatch,
    /// What it told; `None`: it is being asked.
    pub report: Option<Arc<DeviceReport>>,
}

/// A search as it is now.
pub struct DiscoveryNow {
    /// Its identifier.
    pub id: String,
    /// Whether credentials were entered.
    pub has_password: bool,
    /// In the order in which they answered.
    pub devices: Vec<FoundDevice>,
    /// How the search went; `None`: it goes on, or couldn't be made.
    pub end: Option<SearchEnd>,
    /// Why it couldn't be made.
    pub trouble: Option<String>,
    is_entered: bool,
}

impl Discovery {
    fn state(&self) -> MutexGuard<'_, State> {
        // Every change is a single insertion.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What was found so far.
    pub fn now(&self) -> DiscoveryNow {
        let state = self.state();
        DiscoveryNow {
            id: self.id.clone(),
            has_password: state.known.is_some(),
            devices: state.devices.clone(),
            end: state.end,
            trouble: state.trouble.clone(),
            is_entered: state.is_entered,
        }
    }

    /// Asks all devices that haven't told everything again, with these.
    pub fn enter(&self, known: Credentials) {
        {
            let mut state = self.state();
            state.known = Some(known);
            state.is_entered = true;
            state.refused.clear();
        }
        self.entered.notify_one();
    }

    /// A profile with its device, and the credentials that were entered.
    pub fn profile(
        &self,
        device: usize,
        profile: usize,
    ) -> Option<(FoundDevice, Profile, Option<Credentials>)> {
        let state = self.state();
        let found = state.devices.get(device)?;
        let told = found.report.as_ref()?.profiles.get(profile)?.clone();
        Some((found.clone(), told, state.known.clone()))
    }

    fn tell(&self, found: Found) {
        let mut state = self.state();
        match found {
            Found::Device(number, probed) if number == state.devices.len() => {
                state.devices.push(FoundDevice { probed: *probed, report: None });
            }
            Found::Device(..) => {}
            Found::Report(number, report) => {
                if let Some(device) = state.devices.get_mut(number) {
                    device.report = Some(Arc::from(report));
                }
            }
            Found::Searched(end) => state.end = Some(end),
        }
    }

    /// Searches, and then waits for credentials, until it is forgotten.
    async fn run(&self) {
        let known = self.state().known.clone();
        if let Err(error) = find(LISTEN_FOR, known.as_ref(), |found| self.tell(found)).await {
            self.state().trouble = Some(error.to_string());
        }
        loop {
            let until = Instant::now() + FORGET_AFTER;
            if timeout_at(until, self.entered.notified()).await.is_err() {
                return;
            }
            let (devices, known) = self.those_to_ask();
            ask_again(devices, known.as_ref(), |found| self.tell(found)).await;
        }
    }

    /// Those that want a password, or told too little. They are being asked from now on.
    fn those_to_ask(&self) -> (Vec<(usize, ProbeMatch)>, Option<Credentials>) {
        let mut state = self.state();
        state.is_entered = false;
        let mut devices = Vec::new();
        for (number, device) in state.devices.iter_mut().enumerate() {
            let is_told = device.report.as_ref().is_some_and(|report| {
                report.trouble.is_none() && report.access != Some(Access::NeedsPassword)
            });
            if !is_told {
                device.report = None;
                devices.push((number, device.probed.clone()));
            }
        }
        let is_asked = |number: usize| devices.iter().any(|(asked, _)| *asked == number);
        state.pictures.retain(|(device, _), _| !is_asked(*device));
        (devices, state.known.clone())
    }
}

impl CameraDiscoveries {
    /// Nothing is searched for yet.
    pub fn new(context: Arc<JobContext>) -> Self {
        Self { context, current: Mutex::default(), picturing: Arc::new(Semaphore::new(PICTURES_AT_ONCE)) }
    }

    fn current(&self) -> MutexGuard<'_, Option<Running>> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins a search; the one before is forgotten.
    ///
    /// # Errors
    /// [`Busy`] while the one before goes on.
    pub fn begin(&self, known: Option<Credentials>) -> Result<Arc<Discovery>, Busy> {
        let mut current = self.current();
        if let Some(before) = current.as_ref()
            && before.discovery.now().is_searching()
            && !before.task.is_finished()
        {
            return Err(Busy);
        }
        let discovery = Arc::new(Discovery {
            id: ulid::Ulid::generate().to_string().to_lowercase(),
            state: Mutex::new(State { known, ..State::default() }),
            entered: Notify::new(),
        });
        let work = discovery.clone();
        let task = tokio::spawn(async move {
            work.run().await;
            *work.state() = State::default();
        });
        if let Some(before) = current.replace(Running { discovery: discovery.clone(), task }) {
            before.task.abort();
        }
        Ok(discovery)
    }

    /// A search by its identifier; `None`: it was forgotten.
    pub fn get(&self, id: &str) -> Option<Arc<Discovery>> {
        let mut current = self.current();
        if current.as_ref().is_some_and(|running| running.task.is_finished()) {
            *current = None;
        }
        let running = current.as_ref()?;
        (running.discovery.id == id).then(|| running.discovery.clone())
    }

    /// Ends and forgets a search. Whether there was one.
    pub fn remove(&self, id: &str) -> bool {
        let mut current = self.current();
        match current.as_ref() {
            Some(running) if running.discovery.id == id => {
                running.task.abort();
                *current = None;
                true
            }
            _ => false,
        }
    }

    /// Ends all searches.
    pub async fn stop(&self) {
        let running = self.current().take();
        if let Some(running) = running {
            running.task.abort();
            // That it was ended is no error.
            let _ended = running.task.await;
        }
    }

    /// A small picture of what a profile shows: the device's own, or a keyframe of the stream.
    ///
    /// # Errors
    /// [`PictureError`].
    pub async fn picture(
        &self,
        discovery: &Discovery,
        device: usize,
        profile: usize,
    ) -> Result<bytes::Bytes, PictureError> {
        let key = (device, profile);
        if let Some(known) = discovery.state().pictures.get(&key) {
            return Ok(known.clone());
        }
        let (_, told, known) = discovery.profile(device, profile).ok_or(PictureError::Gone)?;
        // It is never closed.
        let _place = self.picturing.acquire().await;
        {
            let state = discovery.state();
            if let Some(known) = state.pictures.get(&key) {
                return Ok(known.clone());
            }
            if state.refused.contains(&device) {
                return Err(Failure::WrongPassword.into());
            }
        }
        let addresses: Vec<CameraAddress> = [told.snapshot, told.stream]
            .into_iter()
            .flatten()
            .map(|address| address.with_digest_only().with_credentials(known.clone()))
            .collect();
        let picture = picture_of(addresses, &self.context).await;
        let mut state = discovery.state();
        if let Err(PictureError::Connection(Failure::WrongPassword)) = picture {
            state.refused.insert(device);
        }
        let picture = picture?;
        if state.pictures.len() < MOST_PICTURES {
            state.pictures.insert(key, picture.clone());
        }
        Ok(picture)
    }
}

impl DiscoveryNow {
    /// Whether devices may still answer.
    pub fn is_searching(&self) -> bool {
        self.end.is_none() && self.trouble.is_none()
    }

    /// Whether devices are being asked.
    pub fn is_asking(&self) -> bool {
        self.is_entered || self.devices.iter().any(|device| device.report.is_none())
    }
}
