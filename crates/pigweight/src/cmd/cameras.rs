//! `pigweight cameras find`: the cameras on this machine's networks, with the addresses of their streams.

use super::{Partial, password, print};
use crate::args::CamerasFind;
use crate::describe::{counted, printable};
use crate::web::api::found_cameras::{FoundCamera, FoundCameraState, FoundProfile};
use pigweight_live::address::Credentials;
use pigweight_live::onvif::{DeviceReport, Found, ProbeMatch, SearchEnd, Trouble, ask_again, find as search};
use serde::Serialize;
use std::io::Write as _;
use std::time::Duration;

/// What `--json` prints.
#[derive(Serialize)]
struct Answer {
    cameras: Vec<FoundCamera>,
    networks: usize,
    has_more: bool,
}

/// What was found so far.
#[derive(Default)]
struct Devices {
    found: Vec<(ProbeMatch, Option<DeviceReport>)>,
    end: SearchEnd,
}

impl Devices {
    fn tell(&mut self, news: Found) {
        match news {
            Found::Device(_, probed) => {
                progress(format_args!("{} answers\n", probed.host));
                self.found.push((*probed, None));
            }
            Found::Report(number, report) => {
                if let Some(device) = self.found.get_mut(number) {
                    device.1 = Some(*report);
                }
            }
            Found::Searched(end) => self.end = end,
        }
    }

    /// Those that want a password.
    fn locked(&self) -> Vec<(usize, ProbeMatch)> {
        let numbered = self.found.iter().enumerate();
        let wants = |report: &Option<DeviceReport>| {
            report.as_ref().is_some_and(|report| report.trouble == Some(Trouble::NeedsPassword))
        };
        numbered
            .filter(|(_, (_, report))| wants(report))
            .map(|(number, (probed, _))| (number, probed.clone()))
            .collect()
    }
}

pub fn find(args: &CamerasFind) -> anyhow::Result<()> {
    let known = credentials(args)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let mut devices = Devices::default();
    let listen_for = Duration::from_secs(args.timeout_s.into());
    runtime.block_on(search(listen_for, known.as_ref(), |news| devices.tell(news)))?;
    let locked = devices.locked();
    if known.is_none() && !locked.is_empty() && password::can_ask() {
        let wants = if locked.len() == 1 { "wants" } else { "want" };
        progress(format_args!("{} {wants} a user and a password.\n", counted(locked.len(), "camera")));
        if let Some(entered) = password::ask()? {
            runtime.block_on(ask_again(locked, Some(&entered), |news| devices.tell(news)));
        }
    }
    let Devices { mut found, end } = devices;
    found.sort_by_key(|(probed, _)| probed.host);
    let numbered = found.iter().enumerate();
    let cameras: Vec<FoundCamera> = numbered
        .map(|(number, (probed, report))| FoundCamera::of(number, probed, report.as_ref(), &[]))
        .collect();
    let notes = notes(&cameras, args.user.is_some());
    if args.json {
        let answer = Answer { cameras, networks: end.networks, has_more: end.has_more };
        print(serde_json::to_string_pretty(&answer)? + "\n")?;
    } else {
        print(table(&cameras, end))?;
    }
    Partial::unless_empty(&notes)
}

fn credentials(args: &CamerasFind) -> anyhow::Result<Option<Credentials>> {
    let Some(user) = args.user.clone() else { return Ok(None) };
    let password = match &args.password_file {
        Some(file) => password::read_file(file)?,
        None if password::can_ask() => password::ask_password()?,
        None => anyhow::bail!(
            "there is no terminal to ask for the password; name a file with --password-file FILE"
        ),
    };
    Ok(Some(Credentials { user, password }))
}

/// If stderr is closed, nobody reads it.
fn progress(text: std::fmt::Arguments<'_>) {
    let _gone = std::io::stderr().write_fmt(text);
}

/// What isn't whole, one sentence a camera.
fn notes(cameras: &[FoundCamera], has_password: bool) -> Vec<String> {
    let failed = cameras.iter().filter_map(|camera| {
        let reason = camera.reason.as_ref()?;
        let text = match camera.state {
            FoundCameraState::NeedsPassword if !has_password => {
                "it wants a user and a password; name them with --user USER --password-file FILE"
            }
            _ => &reason.text,
        };
        Some(format!("{}: {text}", camera.address))
    });
    failed.collect()
}

const HEAD: [&str; 9] =
    ["NAME", "ADDRESS", "MAKER AND MODEL", "CLOCK", "STREAM", "CODEC", "SIZE", "FPS/GOP", "ADDRESS TO ADD"];

/// A line for each stream, and one for each camera that told none.
fn table(cameras: &[FoundCamera], end: SearchEnd) -> String {
    let rows: Vec<[String; 9]> = cameras.iter().flat_map(rows).collect();
    let mut text = String::new();
    if !rows.is_empty() {
        let head = HEAD.map(str::to_owned);
        let widths: Vec<usize> = (0..HEAD.len())
            .map(|at| rows.iter().chain([&head]).map(|row| row[at].chars().count()).max().unwrap_or_default())
            .collect();
        for row in [&head].into_iter().chain(&rows) {
            let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}"));
            text += cells.collect::<Vec<_>>().join("  ").trim_end();
            text.push('\n');
        }
    }
    let networks = counted(end.networks, "network");
    text += &format!("{} in {networks}", counted(cameras.len(), "camera"));
    text += if end.has_more { "; more answered than are taken\n" } else { "\n" };
    if cameras.is_empty() {
        text += "None answered. Switch ONVIF on in the cameras' settings, and search from a machine in their network; or add them by their addresses.\n";
    }
    text
}

fn rows(camera: &FoundCamera) -> Vec<[String; 9]> {
    let shown = |text: &Option<String>| text.as_deref().map_or_else(|| "–".to_owned(), printable);
    let maker: Vec<String> =
        [&camera.manufacturer, &camera.model].into_iter().flatten().map(|text| printable(text)).collect();
    let device = [
        shown(&camera.name),
        camera.address.clone(),
        if maker.is_empty() { "–".to_owned() } else { maker.join(" ") },
        camera.clock_offset_secs.map_or_else(|| "–".to_owned(), offset),
    ];
    let row = |stream: [String; 5]| {
        let mut cells = device.iter().cloned().chain(stream);
        std::array::from_fn(|_| cells.next().unwrap_or_default())
    };
    if camera.profiles.is_empty() {
        let why = match camera.state {
            FoundCameraState::NeedsPassword => "wants a user and a password",
            _ => "told no streams",
        };
        return vec![row([why.to_owned(), "–".to_owned(), "–".to_owned(), "–".to_owned(), "–".to_owned()])];
    }
    camera.profiles.iter().map(|profile| row(stream(profile))).collect()
}

fn stream(profile: &FoundProfile) -> [String; 5] {
    let text = |text: Option<String>| text.unwrap_or_else(|| "–".to_owned());
    let size = profile.width.zip(profile.height).map(|(width, height)| format!("{width}×{height}"));
    let rate = profile.frames_per_sec.map(|rate| format!("{rate}"));
    let gop = profile.gop_frames.map(|gop| gop.to_string());
    [
        printable(&profile.name),
        text(profile.codec.as_deref().map(printable)),
        text(size),
        format!("{}/{}", text(rate), text(gop)),
        text(profile.url.as_deref().map(printable)),
    ]
}

/// How wrong a clock is, in the largest unit that says it.
fn offset(secs: f64) -> String {
    let size = secs.abs();
    let sign = if secs < 0.0 { '−' } else { '+' };
    match () {
        () if size < 2.0 => "right".to_owned(),
        () if size < 120.0 => format!("{sign}{size:.0} s"),
        () if size < 7200.0 => format!("{sign}{:.0} min", size / 60.0),
        () if size < 48.0 * 3600.0 => format!("{sign}{:.1} h", size / 3600.0),
        () => format!("{sign}{:.0} days", size / 86_400.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_is_as_wrong_as_it_is_said() {
        for (secs, expected) in [
            (0.4, "right"),
            (-1.9, "right"),
            (20.0, "+20 s"),
            (-3600.0, "−60 min"),
            (10_800.0, "+3.0 h"),
            (-850_000_000.0, "−9838 days"),
        ] {
            assert_eq!(offset(secs), expected);
        }
    }
}
