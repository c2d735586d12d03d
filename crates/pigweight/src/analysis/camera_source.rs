//! A camera as a frame source: decodes its access units as they come.

use crate::analysis::frame_source::{FrameSource, Next, Pressure};
use pigweight_core::time::{Pts, TimeBase, Timeline};
use pigweight_live::access_unit::CLOCK_RATE_HZ;
use pigweight_live::timeline::GAP_SECS;
use pigweight_live::{AccessUnit, Codec, Received, Subscription};
use pigweight_media::isolate::Workers;
use pigweight_media::{DecodedFrame, Error, StreamCodec, StreamDecoder};
use std::collections::VecDeque;

/// Ticks of a camera's timeline.
pub const TIME_BASE: TimeBase = match TimeBase::new(1, CLOCK_RATE_HZ) {
    Some(time_base) => time_base,
    None => unreachable!(),
};

/// What decodes a camera's units. `None`: nothing that a camera sends.
pub fn stream_codec(codec: Codec) -> Option<StreamCodec> {
    match codec {
        Codec::H264 => Some(StreamCodec::H264),
        Codec::H265 => Some(StreamCodec::H265),
        Codec::Mjpeg => Some(StreamCodec::Mjpeg),
        Codec::Vp8 => None,
    }
}

/// Assumed until a camera has said its size: 1080p, 8 bits, 4:2:0.
const USUAL_PICTURE_BYTES: u64 = 1920 * 1080 * 3 / 2;

/// A connected camera.
pub struct CameraSource {
    subscription: Subscription,
    workers: Option<Workers>,
    /// For messages.
    name: String,
    /// Seconds since 1970 at second 0 of the timeline.
    started_at: i64,
    decoder: Option<StreamDecoder>,
    ready: VecDeque<Next>,
    /// Only a keyframe can follow.
    waits_for_keyframe: bool,
    /// The next frame follows a gap.
    follows_gap: bool,
    epoch: u32,
    last_pts: Option<Pts>,
    /// No frame has been delivered since the start.
    is_at_start: bool,
    /// Added to each pts: this machine's clock was set back before the start.
    shift_ticks: i64,
    picture_bytes: u64,
    /// Width and height of its frames, px.
    size: Option<(u32, u32)>,
}

impl CameraSource {
    /// Decodes what the subscription receives; with `workers`, in a confined process.
    pub fn new(
        subscription: Subscription,
        workers: Option<Workers>,
        name: String,
        started_at: i64,
        size: Option<(u32, u32)>,
    ) -> Self {
        let picture_bytes = size.map(|(width, height)| u64::from(width) * u64::from(height) * 3 / 2);
        Self {
            subscription,
            workers,
            name,
            started_at,
            decoder: None,
            ready: VecDeque::new(),
            waits_for_keyframe: true,
            follows_gap: false,
            epoch: 0,
            last_pts: None,
            is_at_start: true,
            shift_ticks: 0,
            picture_bytes: picture_bytes.unwrap_or(USUAL_PICTURE_BYTES),
            size: None,
        }
    }

    fn receive(&mut self, unit: &AccessUnit) {
        if unit.epoch != self.epoch {
            self.epoch = unit.epoch;
            self.lose();
        }
        self.follows_gap |= unit.follows_gap && self.last_pts.is_some();
        // What refers to lost frames is guessed: it looks like an empty pen before it looks broken.
        self.waits_for_keyframe |= unit.lost_packets > 0;
        if self.waits_for_keyframe && !unit.is_keyframe {
            return;
        }
        match self.decode(unit) {
            Ok(frames) => {
                self.waits_for_keyframe = frames.iter().any(|frame| frame.is_damaged);
                for frame in frames.into_iter().take_while(|frame| !frame.is_damaged) {
                    self.deliver(frame);
                }
            }
            Err(error) => {
                // Its words would be those for a file.
                match &error {
                    Error::WorkerEnded { reason, .. } => tracing::warn!(
                        "{}: the process that decodes it ended ({reason}); another begins at the next keyframe",
                        self.name
                    ),
                    other => tracing::warn!("{}: {other}", self.name),
                }
                self.decoder = None;
                self.lose();
            }
        }
    }

    fn decode(&mut self, unit: &AccessUnit) -> Result<Vec<DecodedFrame>, Error> {
        let Some(codec) = stream_codec(unit.codec) else { return Ok(Vec::new()) };
        let is_same = self.decoder.as_ref().is_some_and(|decoder| decoder.codec() == codec);
        let decoder = match &mut self.decoder {
            Some(decoder) if is_same => {
                if self.waits_for_keyframe {
                    decoder.reset()?;
                }
                decoder
            }
            decoder => {
                decoder.insert(StreamDecoder::open(self.workers.as_ref(), &self.name, codec, TIME_BASE)?)
            }
        };
        decoder.decode(&unit.data, Pts(unit.time_ticks))
    }

    fn deliver(&mut self, frame: DecodedFrame) {
        if std::mem::take(&mut self.is_at_start)
            && let Some(last) = self.last_pts.filter(|last| frame.pts <= *last)
        {
            self.shift_ticks = last.0 - frame.pts.0 + i64::from(CLOCK_RATE_HZ);
        }
        let pts = Pts(frame.pts.0 + self.shift_ticks);
        let frame = DecodedFrame { pts, secs: TIME_BASE.secs(pts), ..frame };
        // Out of order.
        if self.last_pts.is_some_and(|last| frame.pts <= last) {
            return;
        }
        let size = (frame.picture.width(), frame.picture.height());
        if *self.size.get_or_insert(size) != size {
            // Boxes and lines are in px of one size: the analysis begins anew with the other.
            let reason = format!("its picture is {}×{} px now", size.0, size.1);
            self.ready.push_back(Next::Away(Error::Unreadable { path: self.name.clone().into(), reason }));
            return;
        }
        let is_late = self.last_pts.is_some_and(|last| TIME_BASE.secs(pts) - TIME_BASE.secs(last) > GAP_SECS);
        if std::mem::take(&mut self.follows_gap) || is_late {
            self.ready.push_back(Next::Gap);
        }
        self.last_pts = Some(frame.pts);
        self.ready.push_back(Next::Frame(frame));
    }

    /// What comes next doesn't follow what was before.
    fn lose(&mut self) {
        self.waits_for_keyframe = true;
        self.follows_gap = self.last_pts.is_some();
    }
}

impl FrameSource for CameraSource {
    fn timeline(&self) -> Timeline {
        Timeline { time_base: TIME_BASE, first_pts: Pts(0), started_at: Some(self.started_at) }
    }

    fn pressure(&self) -> Pressure {
        Pressure::KeepNewest
    }

    fn picture_bytes(&self) -> u64 {
        self.picture_bytes
    }

    fn start_after(&mut self, pts: Option<Pts>) -> Result<(), Error> {
        self.last_pts = pts;
        self.follows_gap = pts.is_some();
        self.is_at_start = true;
        Ok(())
    }

    fn next(&mut self) -> Result<Next, Error> {
        loop {
            if let Some(next) = self.ready.pop_front() {
                return Ok(next);
            }
            match self.subscription.blocking_next() {
                Received::Unit(unit) => self.receive(&unit),
                Received::Lost(units) => {
                    tracing::info!(
                        camera = self.name,
                        units,
                        "passed over: decoding is slower than the camera"
                    );
                    metrics::counter!("pigweight_camera_units_lost_total").increment(units);
                    self.lose();
                }
                // It was stopped; its run goes on when it is started again.
                Received::End => return Ok(Next::Away(Error::Cancelled)),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pigweight_live::session::{Connector, Session, SessionUnit};
    use pigweight_live::{Camera, Failure, StreamFormat};
    use std::future::Future;
    use std::pin::Pin;
    use std::process::Command;
    use std::sync::Mutex;

    /// A second of a test picture of this size, as a camera sends it: 15 access units, the first a keyframe.
    fn access_units(size: &str) -> Vec<Vec<u8>> {
        let output = Command::new("ffmpeg")
            .args(["-v", "error", "-f", "lavfi", "-i", &format!("testsrc2=size={size}:rate=15:duration=1")])
            .args(["-c:v", "libx264", "-preset", "ultrafast", "-g", "15", "-bf", "0", "-pix_fmt", "yuv420p"])
            .args(["-bsf:v", "h264_metadata=aud=insert", "-f", "h264", "-"])
            .output()
            .expect("ffmpeg is installed by scripts/setup.sh --tests");
        let bytes = output.stdout;
        let starts: Vec<usize> = (0..bytes.len())
            .filter(|&at| bytes[at..].starts_with(&[0, 0, 0, 1, 9]))
            .chain([bytes.len()])
            .collect();
        starts.windows(2).map(|pair| bytes[pair[0]..pair[1]].to_vec()).collect()
    }

    /// Connections one after the other, each with its access units; the last one stays.
    struct Scripted {
        connections: Mutex<Vec<Vec<Vec<u8>>>>,
        /// The first waits until there is a subscriber: on a busy machine it would miss what is sent before.
        may_connect: tokio::sync::watch::Receiver<bool>,
    }

    struct ScriptedSession {
        units: Vec<Vec<u8>>,
        sent: usize,
        is_last: bool,
    }

    type Boxed<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

    impl Connector for Scripted {
        fn connect(&self) -> Boxed<'_, Result<Box<dyn Session>, Failure>> {
            let mut may_connect = self.may_connect.clone();
            let mut connections = self.connections.lock().expect("no test panics while it is held");
            let session = match connections.is_empty() {
                true => None,
                false => Some((connections.remove(0), connections.is_empty())),
            };
            Box::pin(async move {
                may_connect.wait_for(|&may_connect| may_connect).await.expect("it is allowed");
                match session {
                    Some((units, is_last)) => {
                        Ok(Box::new(ScriptedSession { units, sent: 0, is_last }) as Box<dyn Session>)
                    }
                    None => std::future::pending().await,
                }
            })
        }

        fn host(&self) -> String {
            "scripted".into()
        }
    }

    impl Session for ScriptedSession {
        fn format(&self) -> StreamFormat {
            StreamFormat { codec: Codec::H264, size: Some((320, 180)), frames_per_sec: None }
        }

        fn next(&mut self) -> Boxed<'_, Result<SessionUnit, Failure>> {
            Box::pin(async {
                let Some(unit) = self.units.get(self.sent) else {
                    if self.is_last {
                        return std::future::pending().await;
                    }
                    return Err(Failure::Ended { reason: "reset".into() });
                };
                let number = self.sent;
                self.sent += 1;
                Ok(SessionUnit {
                    data: unit.as_slice().into(),
                    session_ticks: number as i64 * i64::from(CLOCK_RATE_HZ) / 15,
                    is_keyframe: number.is_multiple_of(15),
                    is_disposable: false,
                    lost_packets: 0,
                })
            })
        }
    }

    /// What a camera with these connections gives, as text: `.` for a frame, `gap`, `away`; and the pts of the frames.
    fn play(connections: Vec<Vec<Vec<u8>>>, after: Option<Pts>, items: usize) -> (String, Vec<Pts>) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = runtime.expect("a runtime");
        let _in_runtime = runtime.enter();
        let (allow, may_connect) = tokio::sync::watch::channel(false);
        let scripted = Scripted { connections: Mutex::new(connections), may_connect };
        let camera = Camera::start(Box::new(scripted), 10.0);
        let mut source = CameraSource::new(camera.subscribe(), None, "camera".into(), 0, None);
        allow.send_replace(true);
        source.start_after(after).expect("it starts");
        let (mut said, mut pts) = (String::new(), Vec::new());
        for _ in 0..items {
            match source.next().expect("it goes on") {
                Next::Frame(frame) => {
                    said.push('.');
                    pts.push(frame.pts);
                }
                Next::Gap => said.push_str("gap"),
                Next::Away(_) => said.push_str("away"),
                Next::End { .. } => said.push_str("end"),
            }
        }
        (said, pts)
    }

    #[test]
    fn a_reconnection_is_a_gap_and_begins_at_a_keyframe() {
        let units = access_units("320x180");
        assert_eq!(units.len(), 15);
        let (said, pts) = play(vec![units[..5].to_vec(), units], None, 11);
        assert_eq!(said, ".....gap.....");
        assert!(pts.windows(2).all(|pair| pair[0] < pair[1]), "{pts:?}");
        assert!(pts[0] >= Pts(10 * i64::from(CLOCK_RATE_HZ)), "the timeline begins where it was told to");
    }

    #[test]
    fn a_restart_is_a_gap_and_never_turns_the_line_back() {
        let units = access_units("320x180");
        let (said, pts) = play(vec![units.clone()], Some(Pts(5)), 4);
        assert_eq!(said, "gap...");
        assert!(pts[0] >= Pts(10 * i64::from(CLOCK_RATE_HZ)));
        // The clock was set back by an hour before the restart.
        let last = Pts(3600 * i64::from(CLOCK_RATE_HZ));
        let (said, pts) = play(vec![units], Some(last), 4);
        assert_eq!(said, "gap...");
        assert_eq!(pts[0], Pts(last.0 + i64::from(CLOCK_RATE_HZ)));
    }

    #[test]
    fn damaged_pictures_are_not_shown_until_the_next_keyframe() {
        let units = access_units("320x180");
        let mut random = fastrand::Rng::with_seed(7);
        let mut garbage = || {
            let mut unit = vec![0, 0, 0, 1, 0x41];
            unit.extend(std::iter::repeat_with(|| random.u8(1..)).take(400));
            unit
        };
        let broken: Vec<_> = (0..10).map(|_| garbage()).collect();
        let sent = units[..5].iter().chain(&broken).chain(&units).cloned().collect();
        let (said, pts) = play(vec![sent], None, 20);
        assert_eq!(said, ".".repeat(20), "neither guessed pictures nor a gap");
        let frame = i64::from(CLOCK_RATE_HZ) / 15;
        assert_eq!(pts[5].0 - pts[4].0, 11 * frame, "ten were left out");
    }

    #[test]
    fn another_picture_size_ends_the_stretch() {
        let (small, large) = (access_units("320x180"), access_units("640x360"));
        let (said, _) = play(vec![small[..3].to_vec(), large], None, 4);
        assert_eq!(said, "...away");
    }
}
