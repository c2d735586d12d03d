//! Settings: defaults, then one TOML file, then `PIGWEIGHT_…` variables, then the command line.

pub mod cameras;
pub mod hosts;
pub mod notifications;

use crate::config::cameras::{RecordingConfig, WebRtcConfig};
use crate::config::hosts::is_host_name;
use crate::config::notifications::{MqttConfig, WebhookConfig, check_webhooks};
use figment::Figment;
use figment::providers::{Env, Format as _, Serialized, Toml};
use pigweight_detect::layout::Head;
use pigweight_detect::{DeviceChoice, Fallback, RemoteSettings};
use serde::{Deserialize, Deserializer, Serialize};
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use url::Url;
use utoipa::ToSchema;

/// The starter detector's scores are moved so that its counts are best here (`training/`).
pub const USUAL_MIN_SCORE: f32 = 0.3;

/// All settings. Unknown keys are refused.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Folders whose videos are registered and analysed.
    #[schema(value_type = Vec<String>)]
    pub videos: Vec<PathBuf>,
    /// The folder that results are kept in.
    #[schema(value_type = String)]
    pub data: PathBuf,
    /// The address to listen on. By default the server accepts local connections only.
    #[schema(value_type = String)]
    pub listen: SocketAddr,
    /// Web pages of other servers that may use this one, by their origins, such as `["http://intranet.farm:8000"]`. Anyone who opens such a page can do through it whatever they
    /// could do here.
    pub allowed_origins: Vec<String>,
    /// Names under which this server may be asked besides its IP addresses, `localhost`, and this machine's name with and without `.local`: `["pigs.farm.lan"]`, or all names of a domain, `[".farm.lan"]`. A proxy that passes on the name of the page needs it here.
    pub allowed_hosts: Vec<String>,
    /// The detector, an ONNX file. Default: the built-in one.
    #[schema(value_type = Option<String>)]
    pub model: Option<PathBuf>,
    /// The detector.
    pub detect: DetectConfig,
    /// Previews.
    pub preview: PreviewConfig,
    /// Uploads.
    pub upload: UploadConfig,
    /// Worker processes.
    pub worker: WorkerConfig,
    /// Analyses in the background.
    pub jobs: JobsConfig,
    /// Adapting the detector to a source.
    pub adapt: AdaptConfig,
    /// Cameras in the browser.
    pub webrtc: WebRtcConfig,
    /// Recordings of cameras.
    pub recording: RecordingConfig,
    /// Receivers of events.
    pub webhooks: Vec<WebhookConfig>,
    /// Cameras for MQTT.
    pub mqtt: MqttConfig,
}

/// Analyses in the background.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct JobsConfig {
    /// Videos that are counted at the same time, 1 to 16. One of them keeps the order of the queue, the others take the shortest first; with 1, a short video may wait for a long one. See [design 0013](../design/0013-jobs.md).
    pub at_once: usize,
}

impl Default for JobsConfig {
    fn default() -> Self {
        Self { at_once: 2 }
    }
}

/// Adapting the detector to a source. More of either takes longer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct AdaptConfig {
    /// How many times it labels pictures and learns, 1 to 20.
    pub rounds: u32,
    /// Steps of each time, 1 to 100000.
    pub steps: u32,
}

impl Default for AdaptConfig {
    fn default() -> Self {
        Self { rounds: 2, steps: 200 }
    }
}

/// Worker processes, which open the videos.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct WorkerConfig {
    /// Whether worker processes open the videos. Without them, a file that breaks a decoder ends the server.
    pub enabled: bool,
    /// Memory that a worker process may use, in 10⁶ bytes, 100 or more. 8K video needs about 200.
    pub memory_mb: u64,
    /// A worker process that has not reported progress for this many seconds is ended.
    pub silence_secs: u64,
}

impl Default for WorkerConfig {
    fn default() -> Self {
        Self { enabled: true, memory_mb: 2000, silence_secs: 60 }
    }
}

/// Uploads.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct UploadConfig {
    /// The largest file that may be uploaded, in 10⁹ bytes. 0 refuses uploads.
    pub max_gb: f64,
}

impl Default for UploadConfig {
    fn default() -> Self {
        Self { max_gb: 100.0 }
    }
}

/// Previews.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct PreviewConfig {
    /// Disk space for previews, in 10⁹ bytes. 20 is enough for about 16 hours at 25 frames a second; 0 makes none.
    pub disk_gb: f64,
}

impl Default for PreviewConfig {
    fn default() -> Self {
        Self { disk_gb: 20.0 }
    }
}

/// The detector.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct DetectConfig {
    /// A detection counts as an animal from this score on, 0 to 1. A value here holds for all videos. Default: what the folder is calibrated to, or 0.3.
    pub min_score: Option<f32>,
    /// Of boxes that overlap by more than this (IoU, 0 to 1), only the surest stays.
    pub max_iou: f32,
    /// The output layout of the model: `yolox`, `yolox_decoded`, `yolov5`, `yolov8`, `end_to_end`, `detr`, `detr_rows`, `detr_boxes` or `nms_rows`. Default: recognised from the file.
    #[schema(value_type = Option<String>)]
    pub head: Option<Head>,
    /// Names of the classes that count. Default: those named like pigs, or all.
    pub classes: Vec<String>,
    /// Names of the model's classes, in order. Default: from the file.
    pub class_names: Vec<String>,
    /// Inference sessions that run in parallel, each on one core, 1 to 64. Default: one per core.
    pub workers: usize,
    /// Width of the detector's input, px, for all videos: the model's own, or 0.8, 1.2 or 1.4 times that, in multiples of 32. Only on a processor. Default: for the built-in detector as each source's animals need it, for others the model's own.
    pub input_width: Option<u32>,
    /// Frames to infer per second of video, 0.1 to 1000; 0 infers every frame. Default: by motion, see [design 0010](../design/0010-schedule.md).
    pub inference_hz: Option<f64>,
    /// The name of `inference_hz` in earlier versions.
    #[serde(skip_serializing)]
    #[schema(ignore)]
    pub looks_per_sec: Option<f64>,
    /// What runs the detector: `auto`, `cpu`, `cuda`, `tensorrt`, `openvino` or `remote`. `auto` uses CUDA where it works, otherwise the processor. See the [guide](../guide/devices.md).
    #[schema(value_type = String)]
    pub device: DeviceChoice,
    /// The most pictures in one inference, 1 to 64, for models that take several. Default: 1 on a processor, 4 elsewhere.
    pub batch: Option<usize>,
    /// Whether the grey border that makes a wide or high picture square is left out, where the model allows it and pictures are inferred one by one. This saves a third of the time for 16:9 video. Set it to `false` to get the boxes of other programs to the last digit.
    pub trim_border: bool,
    /// Inference servers.
    pub remote: RemoteConfig,
}

/// Inference servers that speak the Open Inference Protocol over gRPC, for the device `remote`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RemoteConfig {
    /// Addresses of inference servers: `http://HOST:PORT`, or `https:` for TLS, without a path; the port for gRPC. All serve the same model. As a variable: `["http://one:8001", "http://two:8001"]`.
    pub endpoints: Vec<String>,
    /// The model's name on the servers. Default: none.
    pub model: String,
    /// The model's version on the servers. Default: the server chooses.
    #[serde(deserialize_with = "text_or_number")]
    pub version: Option<String>,
    /// Certificates to trust, a PEM file. Default: those that this machine trusts.
    #[schema(value_type = Option<String>)]
    pub ca_file: Option<PathBuf>,
    /// A request that takes longer has failed, 0.1 to 600 seconds.
    pub timeout_secs: f64,
    /// How long work waits when no server answers, 0 to 3600 seconds. Then it is put off and tried again later.
    pub patience_secs: f64,
    /// Requests at the same time per server, 1 to 32.
    pub in_flight: usize,
    /// What happens while no server answers: `none` (work waits) or `local` (this machine runs its own copy of the same model).
    #[schema(value_type = String)]
    pub fallback: Fallback,
}

impl Default for RemoteConfig {
    fn default() -> Self {
        let usual = RemoteSettings::default();
        Self {
            endpoints: usual.endpoints,
            model: usual.model,
            version: usual.version,
            ca_file: usual.ca_file,
            timeout_secs: usual.timeout.as_secs_f64(),
            patience_secs: usual.patience.as_secs_f64(),
            in_flight: usual.in_flight,
            fallback: usual.fallback,
        }
    }
}

/// Versions are numbers with most servers, and text to the protocol.
fn text_or_number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Stated {
        Number(u64),
        Text(String),
    }
    Ok(Option::<Stated>::deserialize(deserializer)?.map(|stated| match stated {
        Stated::Number(number) => number.to_string(),
        Stated::Text(text) => text,
    }))
}

impl Default for Config {
    fn default() -> Self {
        Self {
            videos: Vec::new(),
            data: "pigweight-data".into(),
            listen: SocketAddr::from(([127, 0, 0, 1], 8080)),
            allowed_origins: Vec::new(),
            allowed_hosts: Vec::new(),
            model: None,
            detect: DetectConfig::default(),
            preview: PreviewConfig::default(),
            upload: UploadConfig::default(),
            worker: WorkerConfig::default(),
            jobs: JobsConfig::default(),
            adapt: AdaptConfig::default(),
            webrtc: WebRtcConfig::default(),
            recording: RecordingConfig::default(),
            webhooks: Vec::new(),
            mqtt: MqttConfig::default(),
        }
    }
}

impl Default for DetectConfig {
    fn default() -> Self {
        Self {
            min_score: None,
            max_iou: 0.5,
            head: None,
            classes: Vec::new(),
            class_names: Vec::new(),
            workers: std::thread::available_parallelism().map_or(1, usize::from),
            input_width: None,
            inference_hz: None,
            looks_per_sec: None,
            device: DeviceChoice::default(),
            batch: None,
            trim_border: true,
            remote: RemoteConfig::default(),
        }
    }
}

impl Config {
    /// Reads the file (which must be there when it is named) and the environment.
    pub fn load(file: Option<&Path>) -> anyhow::Result<Self> {
        let mut figment = Figment::from(Serialized::defaults(Self::default()));
        if let Some(file) = file {
            anyhow::ensure!(file.is_file(), "the configuration {} is not there", file.display());
            figment = figment.merge(Toml::file_exact(file));
        }
        // PIGWEIGHT_DETECT__MIN_SCORE=0.4 sets detect.min_score. Other programs may have variables of this prefix too.
        let known = serde_json::to_value(Self::default())?;
        let is_ours = move |key: &figment::value::UncasedStr| {
            let key = key.as_str().to_lowercase();
            match key.split_once("__") {
                Some((table, _)) => known.get(table).is_some_and(serde_json::Value::is_object),
                None => known.get(&key).is_some_and(|value| !value.is_object()),
            }
        };
        let environment = Env::prefixed("PIGWEIGHT_").filter(is_ours).split("__");
        let mut config: Self = figment.merge(environment).extract().map_err(|error| {
            anyhow::anyhow!(
                "the configuration cannot be used: {}; docs/reference/config.md lists the keys",
                in_one_line(&error.to_string(), file)
            )
        })?;
        if let Some(hz) = config.detect.looks_per_sec.take() {
            tracing::warn!("detect.looks_per_sec is called detect.inference_hz now; write it so");
            config.detect.inference_hz.get_or_insert(hz);
        }
        config.detect.check()?;
        for origin in &config.allowed_origins {
            let is_origin = Url::parse(origin).is_ok_and(|url| {
                matches!(url.scheme(), "http" | "https") && url.origin().ascii_serialization() == *origin
            });
            anyhow::ensure!(
                is_origin,
                "allowed_origins has {origin:?}; an origin is written as browsers do, in lower case and without a path, as in http://intranet.farm:8000"
            );
        }
        for host in &config.allowed_hosts {
            anyhow::ensure!(
                is_host_name(host),
                "allowed_hosts has {host:?}; write a name without http:// and port, as in pigs.farm.lan, or .farm.lan for all names of a domain"
            );
        }
        let RecordingConfig { camera_gb, total_gb, margin_secs, unmarked_minutes, .. } = config.recording;
        for (key, gigabytes) in [
            ("preview.disk_gb", config.preview.disk_gb),
            ("upload.max_gb", config.upload.max_gb),
            ("recording.camera_gb", camera_gb),
            ("recording.total_gb", total_gb),
        ] {
            anyhow::ensure!(gigabytes.is_finite() && gigabytes >= 0.0, "{key} is a number and not negative");
        }
        anyhow::ensure!(
            config.worker.memory_mb >= 100 && config.worker.silence_secs >= 1,
            "worker.memory_mb is at least 100, worker.silence_secs at least 1"
        );
        anyhow::ensure!((1..=16).contains(&config.jobs.at_once), "jobs.at_once lies between 1 and 16");
        anyhow::ensure!(
            !config.webrtc.addresses.iter().any(IpAddr::is_unspecified),
            "webrtc.addresses are addresses that viewers can reach, such as 192.168.1.5"
        );
        anyhow::ensure!(
            (0.0..=3600.0).contains(&margin_secs) && (1.0..=100_000.0).contains(&unmarked_minutes),
            "recording.margin_secs lies between 0 and 3600, recording.unmarked_minutes between 1 and 100000"
        );
        anyhow::ensure!((1..=20).contains(&config.adapt.rounds), "adapt.rounds lies between 1 and 20");
        anyhow::ensure!((1..=100_000).contains(&config.adapt.steps), "adapt.steps lies between 1 and 100000");
        check_webhooks(&config.webhooks)?;
        config.mqtt.check()?;
        Ok(config)
    }
}

/// What TOML's reader draws under the faulty line, said in words: file, line, column and what is wrong.
fn in_one_line(error: &str, file: Option<&Path>) -> String {
    let Some((place, rest)) =
        error.strip_prefix("TOML parse error at ").and_then(|rest| rest.split_once('\n'))
    else {
        return error.replace('\n', " ");
    };
    let is_drawn = |line: &&str| {
        let begin = line.split('|').next().unwrap_or_default().trim();
        line.contains('|') && begin.chars().all(|character| character.is_ascii_digit())
    };
    // Figment names the file at the end.
    let is_source = |line: &&str| line.starts_with(" in ");
    let words: Vec<&str> = rest
        .lines()
        .filter(|line| !is_drawn(line) && !is_source(line))
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .collect();
    let file = file.map_or_else(String::new, |file| format!("{}, ", file.display()));
    format!("{file}{place}: {}", words.join(", "))
}

impl DetectConfig {
    fn check(&self) -> anyhow::Result<()> {
        anyhow::ensure!(
            (0.0..=1.0).contains(&self.min_score()) && (0.0..=1.0).contains(&self.max_iou),
            "detect.min_score and detect.max_iou lie between 0 and 1"
        );
        anyhow::ensure!(
            self.inference_hz.is_none_or(|hz| hz == 0.0 || (0.1..=1000.0).contains(&hz)),
            "detect.inference_hz is 0 (every frame), or lies between 0.1 and 1000"
        );
        anyhow::ensure!((1..=64).contains(&self.workers), "detect.workers lies between 1 and 64");
        anyhow::ensure!(
            self.batch.is_none_or(|batch| (1..=64).contains(&batch)),
            "detect.batch lies between 1 and 64"
        );
        self.remote.check()
    }

    /// Where nothing else is known of a video.
    pub fn min_score(&self) -> f32 {
        self.min_score.unwrap_or(USUAL_MIN_SCORE)
    }
}

impl RemoteConfig {
    fn check(&self) -> anyhow::Result<()> {
        anyhow::ensure!(
            (0.1..=600.0).contains(&self.timeout_secs),
            "detect.remote.timeout_secs lies between 0.1 and 600"
        );
        anyhow::ensure!(
            (0.0..=3600.0).contains(&self.patience_secs),
            "detect.remote.patience_secs lies between 0 and 3600"
        );
        anyhow::ensure!(
            (1..=32).contains(&self.in_flight) && self.endpoints.len() <= 32,
            "detect.remote.in_flight lies between 1 and 32, and there are at most 32 endpoints"
        );
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(text: &str) -> anyhow::Result<Config> {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("pigweight.toml");
        std::fs::write(&file, text).unwrap();
        Config::load(Some(&file))
    }

    #[test]
    fn a_file_overrides_defaults_and_unknown_keys_are_refused() {
        let config = load("model = \"pig.onnx\"\n[detect]\nmin_score = 0.4\n").unwrap();
        assert_eq!(config.model, Some("pig.onnx".into()));
        assert_eq!(config.detect.min_score, Some(0.4));
        assert_eq!(config.listen, Config::default().listen);
        for bad in [
            "modle = \"pig.onnx\"",
            "[detect]\nmin_score = 2",
            "[detect]\nmin_scor = 0.1",
            "[detect]\nlooks_per_sec = -1",
            "listen = 5",
            "[preview]\ndisk_gb = -1",
            "[worker]\nmemory_mb = 1",
            "[detect]\ndevice = \"gpu\"",
            "[detect]\nbatch = 0",
            "[detect.remote]\nendpoint = \"http://a:1\"",
            "[detect.remote]\ntimeout_secs = 0",
            "[detect.remote]\nfallback = \"cpu\"",
            "[jobs]\nat_once = 0",
            "[adapt]\nsteps = 0",
            "[adapt]\nrounds = 21",
            "[recording]\nmode = \"some\"",
            "[recording]\ncamera_gb = -1",
            "[recording]\nmargin_secs = 4000",
            "[recording]\nunmarked_minutes = 0",
            "[webrtc]\nlisten = \"8080\"",
            "[webrtc]\naddresses = [\"farm.example\"]",
            "[webrtc]\naddresses = [\"0.0.0.0\"]",
            "[mqtt]\nbroker = \"http://broker\"",
            "[mqtt]\npassword = \"without a user\"",
            "[mqtt]\ntopic_prefix = \"a/#\"",
            "[mqtt]\npicture_width_px = 1",
            "[[webhooks]]\nurl = \"https://receiver.example\"",
            "[[webhooks]]\nurl = \"ftp://receiver.example\"\nsecret = \"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\"",
            "[[webhooks]]\nurl = \"https://receiver.example\"\nsecret = \"MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\"",
            "[[webhooks]]\nurl = \"https://receiver.example\"\nsecret = \"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\"\nevents = [\"all\"]",
        ] {
            let error = load(bad).expect_err(bad).to_string();
            assert!(!error.contains('\n'), "{error}");
        }
    }

    #[test]
    fn a_toml_error_is_one_line_with_its_position() {
        for (text, place, words) in [
            (
                "videos = [\"a\"]\n[detect\nmin_score = 1\n",
                "pigweight.toml, line 2, column 8: ",
                "invalid table header",
            ),
            ("model = pig.onnx\n", "pigweight.toml, line 1, column 9: ", ""),
            ("data = \"a\"\ndata = \"b\"\n", "pigweight.toml, line 2, column 1: ", "duplicate key"),
        ] {
            let message = load(text).unwrap_err().to_string();
            assert!(
                message.contains(place) && message.contains(words) && !message.contains(['\n', '|']),
                "{message}"
            );
        }
    }

    #[test]
    fn a_pool_of_servers_is_read_as_it_is_written() {
        let text = "[detect]\ndevice = \"remote\"\n[detect.remote]\nendpoints = [\"http://one:8001\", \"https://two:8001\"]\n\
                    model = \"pigs\"\nversion = 3\nfallback = \"local\"\n";
        let device = crate::analysis::settings::model_settings(&load(text).unwrap()).device;
        assert_eq!(device.choice, DeviceChoice::Remote);
        assert_eq!(device.remote.endpoints, ["http://one:8001", "https://two:8001"]);
        assert_eq!((device.remote.model.as_str(), device.remote.version.as_deref()), ("pigs", Some("3")));
        assert_eq!((device.remote.fallback, device.remote.in_flight), (Fallback::Local, 4));
    }
}
