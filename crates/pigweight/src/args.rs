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
    /// Say more on stderr; PIGWEIGHT_LOG sets it finer (tracing's syntax)
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
    /// Find the pigs on pictures
    Detect(Detect),
    /// Track detections in MOTChallenge text
    Track(Track),
    /// Measure the accuracy on videos with known counts
    Check(Check),
    /// Verify a data folder
    ///
    /// Stored frames are read again and compared with the totals, counts and crossings kept beside them; references, previews and
    /// uploads are checked. Nothing is changed. Prints one line for each finding with what to do. Exits with 0 if there is none, 1 if
    /// there are some, 2 if the folder cannot be read or a server uses it.
    CheckData(CheckData),
    /// Take frames out of videos to label
    #[command(subcommand)]
    Frames(Frames),
    /// List the videos that are being counted or wait for it, and change their order
    ///
    /// Where a server has the data folder, it is asked; else what is kept there is read and changed, and holds when the next server starts.
    Jobs(Jobs),
    /// Draw a demo video with known counts
    Demo(Demo),
    /// Print completions for a shell
    Completions {
        /// Which shell
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
    /// Read a video for the server, which starts this itself
    #[command(hide = true)]
    Worker,
}

/// Which detector and how it is read.
#[derive(clap::Args)]
pub struct ModelArgs {
    /// The detector, an ONNX file [default: the one that is built in]
    #[arg(long, value_name = "FILE")]
    pub model: Option<PathBuf>,
    /// A box is a pig from this score on, 0 to 1 [default: what the folder was calibrated to, or 0.3]
    #[arg(long, value_name = "SCORE", value_parser = parse_score, allow_negative_numbers = true)]
    pub min_score: Option<f32>,
    /// What runs the detector [default: auto, which takes a GPU where ONNX Runtime has one]
    #[arg(long, value_name = "DEVICE", value_parser = device())]
    pub device: Option<DeviceChoice>,
    /// The configuration file
    #[arg(long, value_name = "FILE", env = "PIGWEIGHT_CONFIG")]
    pub config: Option<PathBuf>,
}

#[derive(clap::Args)]
pub struct Serve {
    /// A folder of videos; may be given again
    #[arg(long, value_name = "DIR")]
    pub videos: Vec<PathBuf>,
    /// Where results are kept [default: pigweight-data]
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// Where to listen [default: 127.0.0.1:8080]; port 0 takes a free one
    #[arg(long, value_name = "ADDR")]
    pub listen: Option<SocketAddr>,
    #[command(flatten)]
    pub model: ModelArgs,
}

#[derive(clap::Args)]
pub struct Count {
    /// The video
    pub video: PathBuf,
    /// Count what crosses this arrow, px; may be given again
    #[arg(long = "line", value_name = "x1,y1,x2,y2", value_parser = parse_line, allow_hyphen_values = true)]
    pub lines: Vec<Line>,
    /// Look at every frame, not only as often as what moves asks for
    #[arg(long)]
    pub every_frame: bool,
    /// Keep the results here, and go on with what is kept
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
    /// Where to write the tracks, MOTChallenge text
    #[arg(long = "out", value_name = "TRACKS")]
    pub tracks: PathBuf,
    /// Fill gaps with what comes after them
    #[arg(long)]
    pub offline: bool,
    /// A box is an animal from this score on, 0 to 1 [default: 0.6]
    #[arg(long, value_name = "SCORE", value_parser = parse_score, allow_negative_numbers = true)]
    pub min_score: Option<f32>,
    /// Look at every Nth frame only
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    pub every: u32,
}

#[derive(clap::Args)]
pub struct Check {
    /// A folder of videos, each with its truth beside it: NAME.boxes.csv (frame,x,y,w,h) or NAME.counts.csv
    /// (frame,count of the frames that were counted, the first frame is 0; it goes before boxes). Folders in it are searched
    /// too, links that lead out of it are not followed
    pub folder: PathBuf,
    /// Look at every frame, not only as often as what moves asks for
    #[arg(long)]
    pub every_frame: bool,
    /// Find the score from which on boxes are best counted as pigs, and keep it in the folder for its videos
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
    /// Pick the frames that a detector learns most from, with its own boxes as a first draft, in COCO's and YOLO's formats
    Export(FramesExport),
}

#[derive(clap::Args)]
pub struct FramesExport {
    /// The videos
    #[arg(required = true)]
    pub videos: Vec<PathBuf>,
    /// A new folder for the frames
    #[arg(long, value_name = "DIR", default_value = "frames-to-label")]
    pub out: PathBuf,
    /// How many frames; fewer where the videos are short, since they lie at least half a second apart
    #[arg(long, value_name = "N", default_value_t = 60, value_parser = parse_count)]
    pub count: usize,
    #[command(flatten)]
    pub model: ModelArgs,
}

#[derive(clap::Args)]
pub struct Jobs {
    #[command(subcommand)]
    pub wish: Option<JobWish>,
    /// Only those in this state: running, waiting, paused, failed, cancelled, done
    #[arg(long, value_name = "STATE", value_parser = parse_state)]
    pub state: Option<JobState>,
    /// At most so many
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub limit: u32,
    /// Where results are kept [default: pigweight-data]
    #[arg(long, value_name = "DIR", global = true)]
    pub data: Option<PathBuf>,
    /// The configuration file
    #[arg(long, value_name = "FILE", env = "PIGWEIGHT_CONFIG", global = true)]
    pub config: Option<PathBuf>,
    /// Print one JSON document
    #[arg(long, global = true)]
    pub json: bool,
}

/// What is wanted of a job.
#[derive(Subcommand)]
pub enum JobWish {
    /// Leave it alone until it is resumed; what is counted is kept
    Pause(NamedJob),
    /// Let a paused one go on
    Resume(NamedJob),
    /// Give it up; what is counted is kept
    Cancel(NamedJob),
    /// Let one that failed or was cancelled wait for its turn again
    Retry(NamedJob),
    /// Set how early its turn comes
    Prioritise {
        #[command(flatten)]
        job: NamedJob,
        /// From -100 (last) to 100 (first); 0 is usual
        #[arg(allow_negative_numbers = true)]
        priority: i64,
    },
}

/// One job.
#[derive(clap::Args)]
pub struct NamedJob {
    /// Its name as the list shows it, or four characters or more of the beginning or the end of its whole name
    job: String,
}

impl JobWish {
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

#[derive(clap::Args)]
pub struct Demo {
    /// Where to put the video and its truth
    #[arg(default_value = "demo-videos")]
    pub folder: PathBuf,
    /// Length of each video in seconds
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=3600))]
    pub secs: u32,
    /// What moves where follows from this number
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Draw marks on the pigs' backs, with a detector beside the videos that reads them almost without error
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
