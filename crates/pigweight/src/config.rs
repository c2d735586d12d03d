//! Settings: defaults, then one TOML file, then `PIGWEIGHT_…` variables, then the command line.

use figment::Figment;
use figment::providers::{Env, Format as _, Serialized, Toml};
use pigweight_detect::layout::Head;
use pigweight_detect::{DeviceChoice, Fallback, RemoteSettings};
use serde::{Deserialize, Deserializer, Serialize};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

/// The starter detector's scores are moved so that its counts are best here (`training/`).
const USUAL_MIN_SCORE: f32 = 0.3;

/// Everything that can be set. `docs/reference/config.md` describes each key; unknown ones are refused.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Folders whose videos are registered and analysed.
    pub videos: Vec<PathBuf>,
    /// Where results are kept. Default `pigweight-data`.
    pub data: PathBuf,
    /// Where to listen. Default `127.0.0.1:8080`: this machine alone.
    pub listen: SocketAddr,
    /// The detector, an ONNX file. Default: the one that is built in.
    pub model: Option<PathBuf>,
    /// How the detector is read.
    pub detect: DetectConfig,
    /// Small pictures for quick looks.
    pub preview: PreviewConfig,
    /// Files that come over the network.
    pub upload: UploadConfig,
    /// The processes that read videos for the server.
    pub worker: WorkerConfig,
    /// The work in the background.
    pub jobs: JobsConfig,
}

/// The work in the background.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct JobsConfig {
    /// Videos that are counted side by side: one in the order of the jobs, the others the shortest first. Default 2.
    pub at_once: usize,
}

impl Default for JobsConfig {
    fn default() -> Self {
        Self { at_once: 2 }
    }
}

/// The processes that read videos for the server.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct WorkerConfig {
    /// Whether there are any; without them a file that breaks a decoder ends the server. Default true.
    pub enabled: bool,
    /// What each may hold of memory, 10⁶ bytes. Default 2000: enough for 8K.
    pub memory_mb: u64,
    /// One that says nothing for so many seconds while it is waited for is ended. Default 60.
    pub silence_secs: u64,
}

impl Default for WorkerConfig {
    fn default() -> Self {
        Self { enabled: true, memory_mb: 2000, silence_secs: 60 }
    }
}

/// Files that come over the network.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct UploadConfig {
    /// The largest that is taken, 10⁹ bytes; 0 takes none. Default 100.
    pub max_gb: f64,
}

impl Default for UploadConfig {
    fn default() -> Self {
        Self { max_gb: 100.0 }
    }
}

/// Small pictures for quick looks.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PreviewConfig {
    /// What they may take of the disk, 10⁹ bytes; 0 makes none. Default 20: about 16 hours at 25 frames a second.
    pub disk_gb: f64,
}

impl Default for PreviewConfig {
    fn default() -> Self {
        Self { disk_gb: 20.0 }
    }
}

/// How the detector is read and run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DetectConfig {
    /// A box is an animal from this score on, 0 to 1. Default: what the folder was calibrated to, or 0.3.
    pub min_score: Option<f32>,
    /// Of boxes that overlap by more than this (IoU, 0 to 1) the surest stays. Default 0.5.
    pub max_iou: f32,
    /// The head, where the file's shapes do not tell: yolox, yolov5, yolov8, end_to_end, detr.
    pub head: Option<Head>,
    /// Classes that count, by name. Default: those named like pigs, or all.
    pub classes: Vec<String>,
    /// The classes' names in order, where the file does not tell.
    pub class_names: Vec<String>,
    /// Sessions side by side, each on one core. Default: one per core.
    pub workers: usize,
    /// Frames of a video that are inferred, in Hz; 0 infers every frame. Default: as often as motion asks for.
    pub inference_hz: Option<f64>,
    /// The name of `inference_hz` in earlier versions.
    #[serde(skip_serializing)]
    pub looks_per_sec: Option<f64>,
    /// What runs the detector: auto, cpu, cuda, tensorrt, openvino, remote. Default auto: CUDA where it is there, else the processor.
    pub device: DeviceChoice,
    /// Pictures that are looked at at once, at the most, by a model that takes several. Default: 1 on a processor, 4 elsewhere.
    pub batch: Option<usize>,
    /// Whether the grey border is left out that makes a wide picture as high as the model's input, where the model allows it and the device looks at
    /// pictures one by one. Default true; false where the boxes shall be those of another program to the last digit.
    pub trim_border: bool,
    /// Inference servers, for the device remote.
    pub remote: RemoteConfig,
}

/// Inference servers that speak the Open Inference Protocol over gRPC.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RemoteConfig {
    /// `http://HOST:PORT`, or `https:` for TLS; all serve the same model.
    pub endpoints: Vec<String>,
    /// The model's name there.
    pub model: String,
    /// Its version. Default: the one that the server chooses.
    #[serde(deserialize_with = "text_or_number")]
    pub version: Option<String>,
    /// Whose signature on a server's certificate is trusted, a PEM file. Default: those that this machine trusts.
    pub ca_file: Option<PathBuf>,
    /// A request that takes longer has failed. Default 10.
    pub timeout_secs: f64,
    /// So long work waits for a server when none is there; then it is put aside and tried again later. Default 30.
    pub patience_secs: f64,
    /// Requests under way at each of them. Default 4.
    pub in_flight: usize,
    /// While none is there: none (work waits) or local (this machine looks, with its own copy of the same model). Default none.
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
            model: None,
            detect: DetectConfig::default(),
            preview: PreviewConfig::default(),
            upload: UploadConfig::default(),
            worker: WorkerConfig::default(),
            jobs: JobsConfig::default(),
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
        let is_ours = |key: &figment::value::UncasedStr| {
            let key = key.as_str().to_lowercase();
            ["videos", "data", "listen", "model"].contains(&key.as_str())
                || ["detect__", "preview__", "upload__", "worker__", "jobs__"]
                    .iter()
                    .any(|table| key.starts_with(table))
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
        for (key, gigabytes) in
            [("preview.disk_gb", config.preview.disk_gb), ("upload.max_gb", config.upload.max_gb)]
        {
            anyhow::ensure!(gigabytes.is_finite() && gigabytes >= 0.0, "{key} is a number and not negative");
        }
        anyhow::ensure!(
            config.worker.memory_mb >= 100 && config.worker.silence_secs >= 1,
            "worker.memory_mb is at least 100, worker.silence_secs at least 1"
        );
        anyhow::ensure!((1..=16).contains(&config.jobs.at_once), "jobs.at_once lies between 1 and 16");
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
        ] {
            let error = load(bad).expect_err(bad).to_string();
            assert!(!error.contains('\n'), "{error}");
        }
    }

    #[test]
    fn a_slip_of_toml_is_told_in_one_line_with_its_place() {
        for (text, place, words) in [
            (
                "videos = [\"a\"]\n[detect\nmin_score = 1\n",
                "pigweight.toml, line 2, column 8: ",
                "invalid table header",
            ),
            ("model = pig.onnx\n", "pigweight.toml, line 1, column 9: ", ""),
            ("data = \"a\"\ndata = \"b\"\n", "pigweight.toml, line 2, column 1: ", "duplicate key"),
        ] {
            let told = load(text).unwrap_err().to_string();
            assert!(told.contains(place) && told.contains(words) && !told.contains(['\n', '|']), "{told}");
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
