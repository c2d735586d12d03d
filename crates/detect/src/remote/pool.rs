//! A pool of servers of one model: routing, exclusion and waiting.

use super::endpoint::{Endpoint, Standing, question};
use super::identity::{Different, Identity, Known};
use super::{Fallback, RemoteSettings};
use crate::device::EndpointReport;
use crate::error::{Error, Result};
use crate::layout::Output;
use crate::outputs::KeptOutput;
use crate::tensor::{Form, Samples};
use prost::bytes::Bytes;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, mpsc};
use std::time::{Duration, Instant};
use tokio::runtime::Runtime;
use tokio::sync::{OwnedSemaphorePermit, watch};

/// Pauses before a server is tried again: the first, doubled with each failure up to the last.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LAST_PAUSE: Duration = Duration::from_secs(10);
/// How often an idle server is checked.
const CHECKED_EVERY: Duration = Duration::from_secs(5);

/// See the module's head. Its own runtime waits for the servers, so that inference threads need none.
pub(crate) struct Pool {
    shared: Arc<Shared>,
    runtime: Option<Runtime>,
}

struct Shared {
    settings: RemoteSettings,
    endpoints: Vec<Endpoint>,
    known: Option<Known>,
    /// Of the model as first seen.
    identity: OnceLock<Identity>,
    /// Since when there has been no server.
    gone_since: Mutex<Option<Instant>>,
    /// Counts every change that a waiting caller may need: capacity, a server that is back, one that is gone.
    changes: watch::Sender<u64>,
}

impl Pool {
    /// Contacts all servers once. With `known` none of them need be there, because this machine has the model too.
    ///
    /// # Errors
    /// If the settings are invalid, a required server is missing, or the model isn't this machine's.
    pub(crate) fn open(settings: &RemoteSettings, known: Option<Known>) -> Result<Self> {
        if settings.endpoints.is_empty() || settings.model.is_empty() {
            return Err(Error::RemoteSettings {
                reason: "the device remote needs detect.remote.endpoints and detect.remote.model".to_owned(),
            });
        }
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("inference servers")
            .enable_all()
            .build()
            .map_err(|error| Error::RemoteSettings {
                reason: format!("no thread can be started ({error})"),
            })?;
        let endpoints = {
            let _within = runtime.enter();
            settings.endpoints.iter().map(|url| Endpoint::new(url, settings)).collect::<Result<Vec<_>>>()?
        };
        let must_be_there = known.is_none();
        let shared = Arc::new(Shared {
            settings: settings.clone(),
            endpoints,
            known,
            identity: OnceLock::new(),
            gone_since: Mutex::new(None),
            changes: watch::channel(0).0,
        });
        let pool = Self { shared: shared.clone(), runtime: Some(runtime) };
        pool.wait_for(async move { shared.begin().await })?;
        let is_changed = |endpoint: &Endpoint| matches!(*endpoint.standing(), Standing::Changed(_));
        if !pool.shared.is_any_up() && (must_be_there || pool.shared.endpoints.iter().any(is_changed)) {
            // The caller reports it, once, however often it is tried.
            return Err(pool.shared.no_server());
        }
        for (place, endpoint) in pool.shared.endpoints.iter().enumerate() {
            endpoint.log();
            let shared = pool.shared.clone();
            if let Some(runtime) = &pool.runtime {
                runtime.spawn(async move { shared.maintain(place).await });
            }
        }
        Ok(pool)
    }

    /// The layout of pictures for the servers.
    pub(crate) fn form(&self) -> Result<Form> {
        self.shared.identity.get().map(|identity| identity.form).ok_or_else(|| self.shared.no_server())
    }

    /// The model's outputs for the test picture.
    pub(crate) fn shown(&self) -> &[KeptOutput] {
        self.shared.identity.get().map_or(&[], |identity| &identity.shown)
    }

    /// The model's identity, if its file isn't accessible.
    pub(crate) fn hash(&self) -> Option<String> {
        self.shared.identity.get().map(|identity| identity.hash(&self.shared.settings.model))
    }

    /// Inputs and outputs in words.
    pub(crate) fn describe(&self) -> String {
        self.shared.identity.get().map(Identity::describe).unwrap_or_default()
    }

    /// The model and its location.
    pub(crate) fn place(&self) -> String {
        let version =
            self.shared.identity.get().map(|identity| identity.version.as_str()).unwrap_or_default();
        let version = if version.is_empty() { String::new() } else { format!(", version {version}") };
        format!("{}{version} at {}", self.shared.settings.model, self.shared.settings.endpoints.join(", "))
    }

    /// Infers pictures on a server with capacity.
    ///
    /// # Errors
    /// [`Error::RemoteGone`] if there is no server for longer than the patience, [`Error::RemoteChanged`] if all servers have
    /// another model.
    pub(crate) fn run(&self, samples: &Samples<'_>, shape: [i64; 4]) -> Result<Vec<KeptOutput>> {
        let (bytes, shared) = (bytes_of(samples), self.shared.clone());
        self.wait_for(async move { shared.infer(bytes, shape).await })
    }

    /// The state of each server.
    pub(crate) fn endpoints(&self) -> Vec<EndpointReport> {
        self.shared.reports()
    }

    /// Why no server can be used now; `None` if one can.
    pub(crate) fn trouble(&self) -> Option<Error> {
        (!self.shared.is_any_up()).then(|| self.shared.no_server())
    }

    /// Runs something on the pool's thread and waits for it, also from within another runtime.
    fn wait_for<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T>> + Send + 'static,
    ) -> Result<T> {
        let (sender, receiver) = mpsc::sync_channel(1);
        if let Some(runtime) = &self.runtime {
            runtime.spawn(async move {
                // The caller waits below.
                let _waits = sender.send(work.await);
            });
        }
        receiver.recv().unwrap_or_else(|_| Err(self.shared.no_server()))
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        // Waits for nothing: it may happen within another runtime.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// In wire format.
pub(super) fn bytes_of(samples: &Samples<'_>) -> Bytes {
    match samples {
        Samples::Bytes(bytes) => Bytes::from(bytes.clone()),
        Samples::Halves(halves) => halves.iter().flat_map(|half| half.to_le_bytes()).collect(),
        Samples::Floats(floats) => {
            let mut bytes = Vec::with_capacity(floats.len() * 4);
            for number in floats.iter() {
                bytes.extend_from_slice(&number.to_le_bytes());
            }
            Bytes::from(bytes)
        }
    }
}

impl Shared {
    /// Contacts all servers at once, and adds them in the order of the configuration: the model must not depend on which
    /// one responds first.
    async fn begin(self: &Arc<Self>) -> Result<()> {
        let mut asked = Vec::new();
        for place in 0..self.endpoints.len() {
            let shared = self.clone();
            asked.push(tokio::spawn(async move { shared.endpoints[place].examine(&shared.settings).await }));
        }
        for (endpoint, asked) in self.endpoints.iter().zip(asked) {
            let found = asked.await.unwrap_or_else(|_| Err("asking it came to a bad end".to_owned()));
            let standing = self.judge(found);
            *endpoint.standing() = standing;
        }
        self.note();
        Ok(())
    }

    /// Adds or excludes a server by its outputs.
    fn judge(&self, found: Result<Identity, String>) -> Standing {
        match found {
            Err(reason) => Standing::Down(reason),
            Ok(found) => match self.accept(&found) {
                Ok(()) => Standing::Up,
                Err(Different(reason)) => Standing::Changed(reason),
            },
        }
    }

    fn accept(&self, found: &Identity) -> Result<(), Different> {
        if let Some(known) = &self.known {
            known.accept(found)?;
        }
        match self.identity.get() {
            Some(identity) => identity.accept(found),
            None => {
                // Another one may have been first: then that defines the model.
                let identity = self.identity.get_or_init(|| found.clone());
                identity.accept(found)
            }
        }
    }

    /// Retries an excluded server, and checks an idle one.
    async fn maintain(self: Arc<Self>, place: usize) {
        let endpoint = &self.endpoints[place];
        let mut changes = self.changes.subscribe();
        loop {
            if *endpoint.standing() == Standing::Up {
                let waited = tokio::time::timeout(CHECKED_EVERY, async {
                    while *endpoint.standing() == Standing::Up && changes.changed().await.is_ok() {}
                });
                // A busy server is there.
                let is_idle = waited.await.is_err()
                    && endpoint.permits.available_permits() == self.settings.in_flight.max(1);
                if is_idle && let Err(reason) = endpoint.ready(&self.settings).await {
                    self.leave_out(endpoint, Standing::Down(reason));
                }
            } else {
                let failures = endpoint.failures.fetch_add(1, Ordering::Relaxed).min(16);
                tokio::time::sleep((FIRST_PAUSE * (1 << failures)).min(LAST_PAUSE)).await;
                let found = endpoint.examine(&self.settings).await;
                endpoint.change(self.judge(found));
                self.note();
            }
        }
    }

    fn leave_out(&self, endpoint: &Endpoint, standing: Standing) {
        endpoint.failed.fetch_add(1, Ordering::Relaxed);
        endpoint.change(standing);
        self.note();
    }

    /// Notifies waiting callers of a change.
    fn note(&self) {
        let is_any_up = self.is_any_up();
        {
            let mut gone_since = self.gone_since();
            *gone_since = if is_any_up { None } else { gone_since.or_else(|| Some(Instant::now())) };
        }
        self.changes.send_modify(|changes| *changes = changes.wrapping_add(1));
    }

    fn gone_since(&self) -> MutexGuard<'_, Option<Instant>> {
        // Every change is a single assignment.
        self.gone_since.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_any_up(&self) -> bool {
        self.endpoints.iter().any(|endpoint| *endpoint.standing() == Standing::Up)
    }

    /// Why there is no server.
    fn no_server(&self) -> Error {
        let mut reasons = Vec::new();
        let mut is_changed = false;
        for endpoint in &self.endpoints {
            if let Standing::Down(reason) | Standing::Changed(reason) = &*endpoint.standing() {
                reasons.push(format!("{}: {reason}", endpoint.url));
            }
            is_changed |= matches!(*endpoint.standing(), Standing::Changed(_));
        }
        let reason = reasons.join("; ");
        if is_changed {
            Error::RemoteChanged { reason }
        } else {
            Error::RemoteGone { reason, endpoints: self.reports() }
        }
    }

    fn reports(&self) -> Vec<EndpointReport> {
        let report = |endpoint: &Endpoint| EndpointReport {
            url: endpoint.url.clone(),
            trouble: match &*endpoint.standing() {
                Standing::Up => None,
                Standing::Down(reason) | Standing::Changed(reason) => Some(reason.clone()),
            },
            answered: endpoint.answered.load(Ordering::Relaxed),
            failed: endpoint.failed.load(Ordering::Relaxed),
        };
        self.endpoints.iter().map(report).collect()
    }

    /// The least busy of the available servers with capacity.
    fn pick(&self) -> Option<(&Endpoint, OwnedSemaphorePermit)> {
        let mut up: Vec<&Endpoint> =
            self.endpoints.iter().filter(|endpoint| *endpoint.standing() == Standing::Up).collect();
        up.sort_by_key(|endpoint| std::cmp::Reverse(endpoint.permits.available_permits()));
        up.into_iter()
            .find_map(|endpoint| Some((endpoint, endpoint.permits.clone().try_acquire_owned().ok()?)))
    }

    async fn infer(self: Arc<Self>, bytes: Bytes, shape: [i64; 4]) -> Result<Vec<KeptOutput>> {
        let mut changes = self.changes.subscribe();
        let pictures = usize::try_from(shape[0]).unwrap_or(0);
        loop {
            changes.mark_unchanged();
            let Some((endpoint, permit)) = self.pick() else {
                self.wait(&mut changes).await?;
                continue;
            };
            let identity = self.identity.get().ok_or_else(|| self.no_server())?;
            let question = question(&self.settings, identity, bytes.clone(), shape.to_vec());
            let answer = endpoint.infer(&self.settings, question, identity, pictures).await;
            drop(permit);
            match answer {
                Ok((version, _)) if version != identity.version => {
                    let Different(reason) = identity.other_version(&version);
                    self.leave_out(endpoint, Standing::Changed(reason));
                }
                Ok((_, outputs)) => {
                    endpoint.answered.fetch_add(1, Ordering::Relaxed);
                    endpoint.failures.store(0, Ordering::Relaxed);
                    self.note();
                    return Ok(self.as_known(outputs));
                }
                Err(reason) => self.leave_out(endpoint, Standing::Down(reason)),
            }
        }
    }

    /// Waits for capacity or for a server, at most for the patience.
    async fn wait(&self, changes: &mut watch::Receiver<u64>) -> Result<()> {
        let patience = match self.settings.fallback {
            Fallback::None => self.settings.patience,
            Fallback::Local => Duration::ZERO,
        };
        let gone_since = *self.gone_since();
        let changed = changes.changed();
        match gone_since {
            // All are busy: each request ends within the timeout.
            None => drop(changed.await),
            Some(since) => {
                let left = patience.saturating_sub(since.elapsed());
                if left.is_zero() || tokio::time::timeout(left, changed).await.is_err() {
                    return Err(self.no_server());
                }
            }
        }
        Ok(())
    }

    /// Outputs get the names from this machine's own copy.
    fn as_known(&self, outputs: Vec<KeptOutput>) -> Vec<KeptOutput> {
        let Some(known) = &self.known else { return outputs };
        let renamed = outputs.into_iter().zip(&known.shown).map(|(kept, shown)| KeptOutput {
            output: Output { name: shown.output.name.clone(), shape: kept.output.shape },
            numbers: kept.numbers,
        });
        renamed.collect()
    }
}
