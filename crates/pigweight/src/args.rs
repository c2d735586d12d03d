//! The command line.

use clap::builder::{PossibleValuesParser, TypedValueParser as _};
use clap::{Parser, Subcommand};
use pigweight_core::geometry::Point;
use pigweight_core::line::Line;
use pigweight_detect::DeviceChoice;
use pigweight_store::JobState;
use std::net::SocketAddr;
use std::path::PathBuf;

/// Counts pigs in videos, with the pictures that prove it
#[derive(Parser)]
#[command(version, propagate_version = true, max_term_width = 100)]
pub struct Args {
    /// Log more to stderr; PIGWEIGHT_LOG sets levels in tracing's syntax
    #[arg(long, short, global = true)]
    pub verbose: bool,
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Subcommand)]
pub enum Command {
    /// Serve the page and the API, and analyse the videos in the folders
    Serve(Serve),
    /// Count the pigs in one video
    Count(Count),
    /// Print the boxes of pigs on pictures
    Detect(Detect),
    /// Track detections in MOTChallenge text
    Track(Track),
    /// Measure accuracy on videos with known counts
    Check(Check),
    /// Verify a data folder
    ///
    /// Stored frames are read again and compared with the totals, counts and crossings kept beside them; references, previews and
    /// uploads are checked. Nothing is changed. Prints one line for each finding with what to do. Exits with 0 if there is none, 1 if
    /// there are some, 2 if the folder cannot be read or a server uses it.
    CheckData(CheckData),
    /// Teach the detector a camera's pen from its own film and the number of animals in it
    ///
    /// Nothing is labelled. What the detector finds again and again, at several sizes and in the mirror, teaches it; what never moves is no
    /// animal. It is judged on the last third of the film, which it does not learn from, and written only if its counts got better. Takes
    /// some minutes on two cores. If it is cut off, the same command goes on from there.
    Adapt(Adapt),
    /// Pick frames of videos for labelling
    #[command(subcommand)]
    Frames(Frames),
    /// Show and change the queue of analyses
    ///
    /// If a server uses the data folder, this asks the server. Otherwise it reads and changes the folder, and the next server continues from there.
    Jobs(Jobs),
    /// Find cameras on the network
    #[command(subcommand)]
    Cameras(Cameras),
    /// Draw demo videos with known counts
    Demo(Demo),
    /// Print shell completions
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
    /// Print the manual page
    Man {
        /// Write a page for each command into this folder instead
        #[arg(long, value_name = "DIR")]
        dir: Option<PathBuf>,
    },
    /// Print the API's OpenAPI document
    #[command(hide = true)]
    Openapi,
    /// Print the reference of the configuration
    #[command(hide = true)]
    ConfigReference,
    /// Open a video for the server, which starts this itself
    #[command(hide = true)]
    Worker,
    /// Run a detector once for the server, which starts this itself
    #[command(hide = true)]
    ModelTrial {
        /// An ONNX file
        model: PathBuf,
    },
}

/// Which detector and how it is read.
#[derive(clap::Args)]
pub struct ModelArgs {
    /// The detector, an ONNX file [default: the built-in one]
    #[arg(long, value_name = "FILE")]
    pub model: Option<PathBuf>,
    /// The score from which a box counts as a pig, 0 to 1 [default: the folder's calibration, or 0.3]
    #[arg(long, value_name = "SCORE", value_parser = parse_score, allow_negative_numbers = true)]
    pub min_score: Option<f32>,
    /// What runs the detector [default: auto, which uses a GPU if ONNX Runtime has one]
    #[arg(long, value_name = "DEVICE", value_parser = device())]
    pub device: Option<DeviceChoice>,
    /// The configuration file
    #[arg(long, value_name = "FILE", env = "PIGWEIGHT_CONFIG")]
    pub config: Option<PathBuf>,
}

#[derive(clap::Args)]
pub struct Serve {
    /// A folder of videos; repeat it for more
    #[arg(long, value_name = "DIR")]
    pub videos: Vec<PathBuf>,
    /// The data folder [default: pigweight-data]
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// The address to listen on [default: 127.0.0.1:8080]; port 0 picks a free one
    #[arg(long, value_name = "ADDR")]
    pub listen: Option<SocketAddr>,
    #[command(flatten)]
    pub model: ModelArgs,
}

#[derive(clap::Args)]
pub struct Count {
    /// The video
    pub video: PathBuf,
    /// Count crossings of this arrow, px; repeat it for more. Near a line the detector runs more often; where it is unsure, that also
    /// changes the count a little
    #[arg(long = "line", value_name = "x1,y1,x2,y2", value_parser = parse_line, allow_hyphen_values = true)]
    pub lines: Vec<Line>,
    /// Run the detector on every frame, not only as often as motion requires
    #[arg(long)]
    pub every_frame: bool,
    /// Keep the results in this folder, and continue from what is there
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// Print one JSON document
    #[arg(long, conflicts_with = "csv")]
    pub json: bool,
    /// Print seconds and count per frame as CSV
    #[arg(long)]
    pub csv: bool,
    #[command(flatten)]
    pub model: ModelArgs,
}

#[derive(clap::Args)]
pub struct Detect {
    /// Pictures: JPEG, PNG, WebP, BMP, TIFF
    #[arg(required = true)]
    pub images: Vec<PathBuf>,
    /// Print one JSON document
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub model: ModelArgs,
}

#[derive(clap::Args)]
pub struct Track {
    /// Detections in MOTChallenge text
    #[arg(long = "mot", value_name = "DETECTIONS")]
    pub detections: PathBuf,
    /// Frames per second of the sequence
    #[arg(long, value_name = "F", value_parser = parse_rate, allow_negative_numbers = true)]
    pub fps: f64,
    /// The file to write the tracks to, MOTChallenge text
    #[arg(long = "out", value_name = "TRACKS")]
    pub tracks: PathBuf,
    /// Fill gaps using later frames
    #[arg(long)]
    pub offline: bool,
    /// The score from which a box counts as an animal, 0 to 1 [default: 0.6]
    #[arg(long, value_name = "SCORE", value_parser = parse_score, allow_negative_numbers = true)]
    pub min_score: Option<f32>,
    /// Use every Nth frame only
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    pub every: u32,
}

#[derive(clap::Args)]
pub struct Check {
    /// A folder of videos with the truth next to each: NAME.counts.csv (frame,count; the first frame is 0) or
    /// NAME.boxes.csv (frame,x,y,w,h). Counts are preferred. Subfolders are searched, links out of the folder are not followed
    pub folder: PathBuf,
    /// Run the detector on every frame, not only as often as motion requires
    #[arg(long)]
    pub every_frame: bool,
    /// Find the threshold that counts best, and keep it in the folder for its videos
    #[arg(long, conflicts_with = "min_score")]
    pub calibrate: bool,
    /// Print one JSON document
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub model: ModelArgs,
}

#[derive(clap::Args)]
pub struct CheckData {
    /// The data folder [default: pigweight-data]
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// The configuration file
    #[arg(long, value_name = "FILE", env = "PIGWEIGHT_CONFIG")]
    pub config: Option<PathBuf>,
    /// Print one JSON document
    #[arg(long)]
    pub json: bool,
}

#[derive(Subcommand)]
pub enum Frames {
    /// Export the frames a detector learns most from, with its boxes as a first draft, in COCO and YOLO formats
    Export(FramesExport),
}

#[derive(clap::Args)]
pub struct Adapt {
    /// Videos of one camera, or folders of them
    #[arg(required = true, value_name = "SOURCE")]
    pub videos: Vec<PathBuf>,
    /// Animals in view all the time
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=300), required_unless_present = "counts")]
    pub animals: Option<u32>,
    /// For animals that come and go: take their numbers at some moments from NAME.counts.csv beside each video, columns frame and count. A number holds until
    /// the next one if that is the same, otherwise for ten seconds before and after
    #[arg(long, conflicts_with = "animals")]
    pub counts: bool,
    /// Where the adapted detector goes [default: pigweight-detector.onnx beside the videos, which are counted with it]
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// Write pictures with the boxes before and after into this folder
    #[arg(long, value_name = "DIR")]
    pub pictures: Option<PathBuf>,
    /// How many times it labels and learns [default: 2, or as configured]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=20))]
    pub rounds: Option<u32>,
    /// Steps of each time; more take longer [default: 200, or as configured]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub steps: Option<u32>,
    #[command(flatten)]
    pub model: ModelArgs,
}

#[derive(clap::Args)]
pub struct FramesExport {
    /// The videos
    #[arg(required = true)]
    pub videos: Vec<PathBuf>,
    /// A new folder for the frames
    #[arg(long, value_name = "DIR", default_value = "frames-to-label")]
    pub out: PathBuf,
    /// Number of frames. Frames lie at least half a second apart, so short videos give fewer
    #[arg(long, value_name = "N", default_value_t = 60, value_parser = parse_count)]
    pub count: usize,
    #[command(flatten)]
    pub model: ModelArgs,
}

#[derive(clap::Args)]
pub struct Jobs {
    #[command(subcommand)]
    pub action: Option<JobAction>,
    /// Show only jobs in this state: running, waiting, paused, failed, cancelled, done
    #[arg(long, value_name = "STATE", value_parser = parse_state)]
    pub state: Option<JobState>,
    /// Show at most this many
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub limit: u32,
    /// The data folder [default: pigweight-data]
    #[arg(long, value_name = "DIR", global = true)]
    pub data: Option<PathBuf>,
    /// The configuration file
    #[arg(long, value_name = "FILE", env = "PIGWEIGHT_CONFIG", global = true)]
    pub config: Option<PathBuf>,
    /// Print one JSON document
    #[arg(long, global = true)]
    pub json: bool,
}

/// What to do with a job.
#[derive(Subcommand)]
pub enum JobAction {
    /// Pause a job until it is resumed; what is counted stays
    Pause(NamedJob),
    /// Resume a paused job
    Resume(NamedJob),
    /// Cancel a job; what is counted stays
    Cancel(NamedJob),
    /// Queue a failed or cancelled job again
    Retry(NamedJob),
    /// Set a job's priority
    Prioritise {
        #[command(flatten)]
        job: NamedJob,
        /// -100 (last) to 100 (first); 0 is the default
        #[arg(allow_negative_numbers = true)]
        priority: i64,
    },
}

/// One job.
#[derive(clap::Args)]
pub struct NamedJob {
    /// The job's name as the list shows it, or at least four characters of the beginning or end of its identifier
    job: String,
}

impl JobAction {
    /// As it was typed.
    pub fn job(&self) -> &str {
        match self {
            Self::Pause(job)
            | Self::Resume(job)
            | Self::Cancel(job)
            | Self::Retry(job)
            | Self::Prioritise { job, .. } => &job.job,
        }
    }
}

#[derive(Subcommand)]
pub enum Cameras {
    /// Find cameras on this machine's networks by ONVIF, with the addresses of their streams
    ///
    /// Asks by multicast who is there, and each that answers for its streams. Nothing is changed in them, and none is told the password itself,
    /// only digests of it. Without --user, it is asked for on the terminal if a camera wants it. Exits with 1 if nothing can be searched, 3 if a camera didn't
    /// tell everything.
    Find(CamerasFind),
}

#[derive(clap::Args)]
pub struct CamerasFind {
    /// The user that the cameras know
    #[arg(long, value_name = "USER")]
    pub user: Option<String>,
    /// A file whose first line is the user's password [default: asked for on the terminal]
    #[arg(long, value_name = "FILE", requires = "user")]
    pub password_file: Option<PathBuf>,
    /// How long answers are waited for, seconds
    #[arg(long, value_name = "SECS", default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..=60))]
    pub timeout_s: u32,
    /// Print one JSON document
    #[arg(long)]
    pub json: bool,
}

#[derive(clap::Args)]
pub struct Demo {
    /// The folder for the videos and their truth
    #[arg(default_value = "demo-videos")]
    pub folder: PathBuf,
    /// Length of each video in seconds
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=3600))]
    pub secs: u32,
    /// The seed: the same number draws the same videos
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Draw marks on the pigs' backs, and put a detector next to the videos that reads them almost without error
    #[arg(long)]
    pub marked: bool,
}

fn parse_line(text: &str) -> Result<Line, String> {
    let numbers: Vec<f32> = text
        .split(',')
        .map(|number| {
            let is_finite = |number: &f32| number.is_finite();
            number.trim().parse().ok().filter(is_finite).ok_or_else(|| {
                format!("{number:?} is not a number that a picture's px can be; write x1,y1,x2,y2 in px")
            })
        })
        .collect::<Result<_, _>>()?;
    let [x1, y1, x2, y2] = numbers[..] else {
        return Err(format!("{} numbers; write x1,y1,x2,y2 in px", numbers.len()));
    };
    let line = Line::new(Point::new(x1, y1), Point::new(x2, y2)).map_err(|error| error.to_string())?;
    line.check_reach().map_err(|error| error.to_string())?;
    Ok(line)
}

fn device() -> impl clap::builder::TypedValueParser<Value = DeviceChoice> {
    PossibleValuesParser::new(DeviceChoice::NAMES).try_map(|name| name.parse::<DeviceChoice>())
}

fn parse_state(text: &str) -> Result<JobState, String> {
    let names = JobState::ALL.map(JobState::name).join(", ");
    JobState::of(text).ok_or_else(|| format!("write one of {names}"))
}

fn parse_score(text: &str) -> Result<f32, String> {
    let score = text.parse().ok().filter(|score| (0.0..=1.0).contains(score));
    score.ok_or_else(|| "write a number from 0 to 1".to_owned())
}

fn parse_count(text: &str) -> Result<usize, String> {
    let count = text.parse().ok().filter(|count| (1..=10_000).contains(count));
    count.ok_or_else(|| "write a number from 1 to 10000".to_owned())
}

fn parse_rate(text: &str) -> Result<f64, String> {
    let rate = text.parse().ok().filter(|rate: &f64| rate.is_finite() && *rate > 0.0);
    rate.ok_or_else(|| "write a positive number of frames per second".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_is_sound() {
        Args::command().debug_assert();
    }

    #[test]
    fn lines_are_four_numbers_of_some_length() {
        assert!(parse_line("0,10, 640,10").is_ok());
        assert!(parse_line("-5,10,640,10").is_ok());
        for bad in
            ["", "1,2,3", "1,2,3,4,5", "a,b,c,d", "5,5,5,5", "NaN,0,1,1", "1e300,0,1,1", "0,0,100001,0"]
        {
            assert!(parse_line(bad).is_err(), "{bad}");
        }
    }
}
