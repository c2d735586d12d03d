//! Names of topics. They are made of prefixes that the configuration checks, and of identifiers, so a camera may have any name.

/// Prefixes of all topics.
#[derive(Clone, Debug)]
pub struct Topics {
    prefix: String,
    /// `None`: Home Assistant isn't told of devices.
    discovery: Option<String>,
}

impl Topics {
    /// With these prefixes; an empty one of discovery is none.
    pub fn new(prefix: &str, discovery: &str) -> Self {
        let discovery = (!discovery.is_empty()).then(|| discovery.to_owned());
        Self { prefix: prefix.to_owned(), discovery }
    }

    /// `online` or `offline`.
    pub fn status(&self) -> String {
        format!("{}/status", self.prefix)
    }

    /// State and count of a camera.
    pub fn camera(&self, camera_id: &str) -> String {
        format!("{}/cameras/{camera_id}", self.prefix)
    }

    /// Crossings of a line of a camera.
    pub fn line(&self, camera_id: &str, line_id: &str) -> String {
        format!("{}/cameras/{camera_id}/lines/{line_id}", self.prefix)
    }

    /// The latest picture of a camera.
    pub fn picture(&self, camera_id: &str) -> String {
        format!("{}/cameras/{camera_id}/picture", self.prefix)
    }

    /// Where Home Assistant reads what an entity is; `component` is its kind there.
    pub fn discovery(&self, component: &str, camera_id: &str, entity: &str) -> Option<String> {
        Some(format!("{}/{component}/pigweight_{camera_id}/{entity}/config", self.discovery.as_ref()?))
    }

    /// Where Home Assistant says that it has started.
    pub fn home_assistant_status(&self) -> Option<String> {
        Some(format!("{}/status", self.discovery.as_ref()?))
    }
}
