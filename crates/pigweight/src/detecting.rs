//! Who looks at pictures for the server, or why nobody does yet: inference servers may come after it.

use crate::background;
use crate::web::unseen::Unseen;
use crossbeam_channel::Sender;
use pigweight_detect::service::Inference;
use pigweight_detect::{Error, Model, ModelSettings};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

/// How often servers that were not there are looked for.
const LOOKED_FOR_EVERY: Duration = Duration::from_secs(5);

/// Why what could be counted is not.
pub const NOBODY_LOOKS: &str = "nobody looks at pictures now; /api/health says why";

/// See the module's head.
pub struct Detecting {
    now: RwLock<Result<Looker, String>>,
}

/// Starts the threads that look; those that look at the background's pictures give way.
///
/// # Errors
/// Where the system has no more threads.
pub fn start(model: Model, workers: usize) -> Result<Inference, Error> {
    Inference::start(model, workers, Some(background::give_way))
}

/// Cheap to clone.
#[derive(Clone)]
pub struct Looker {
    /// For everybody.
    pub inference: Inference,
    /// Viewers' questions to it.
    pub unseen: Arc<Unseen>,
}

impl Looker {
    fn new(inference: Inference) -> Self {
        Self { unseen: Arc::new(Unseen::new(&inference)), inference }
    }
}

impl Detecting {
    /// Someone, or the reason why there is nobody.
    pub fn new(inference: Result<Inference, String>) -> Self {
        Self { now: RwLock::new(inference.map(Looker::new)) }
    }

    /// Who looks now.
    pub fn now(&self) -> Result<Looker, String> {
        // Every change is a single assignment.
        self.now.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits for servers that were not there at the start, and wakes the background work when they are.
    pub async fn look_for(&self, settings: ModelSettings, workers: usize, wake: Sender<()>) {
        loop {
            tokio::time::sleep(LOOKED_FOR_EVERY).await;
            let settings = settings.clone();
            let loaded = tokio::task::spawn_blocking(move || {
                Model::load(settings).and_then(|model| start(model, workers))
            });
            let found = match loaded.await {
                Ok(Ok(inference)) => Ok(Looker::new(inference)),
                Ok(Err(error)) => Err(error),
                Err(_) => return,
            };
            let is_over = !matches!(found, Err(Error::RemoteGone { .. }));
            if let Err(error) = &found {
                tracing::warn!("{error}");
            }
            *self.now.write().unwrap_or_else(PoisonError::into_inner) =
                found.map_err(|error| error.to_string());
            if is_over {
                // A full queue means that it has been woken already.
                let _already_woken = wake.try_send(());
                return;
            }
        }
    }
}
