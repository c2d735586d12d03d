//! Other video streams of a file. If pictures continue in one of them, that is reported.
//!
//! A transport stream may go on under other numbers, with another programme or another codec. Two streams side by side are two cameras, or one
//! in two sizes.

use crate::file::packets::MOST_TICKS;
use crate::libav::{Input, Packet, PacketEntry};
use pigweight_core::time::{Pts, TimeBase};
use std::collections::BTreeMap;

/// Fewer frames are a cover or a thumbnail.
const LEAST_FRAMES: usize = 3;
/// Streams side by side take turns more often than this.
const LEAST_LEFT_OUT_SECS: f64 = 0.5;
/// Other streams that are noted; a hostile file announces thousands.
const MOST_STREAMS: usize = 64;

/// The packets of other video streams.
#[derive(Default)]
pub(crate) struct OtherStreams {
    streams: BTreeMap<i32, OtherStream>,
}

struct OtherStream {
    tick_secs: f64,
    /// Places in the file and stated times.
    packets: Vec<(i64, Option<i64>)>,
}

impl OtherStreams {
    /// A packet that isn't one of the stream that is read.
    pub(crate) fn note(&mut self, input: &Input, packet: &Packet) {
        let index = packet.stream_index();
        if !self.streams.contains_key(&index) {
            let Some(tick) = input.video_time_base(index).filter(|_| self.streams.len() < MOST_STREAMS)
            else {
                return;
            };
            let tick_secs = f64::from(tick.0) / f64::from(tick.1.max(1));
            self.streams.insert(index, OtherStream { tick_secs, packets: Vec::new() });
        }
        if let Some(stream) = self.streams.get_mut(&index) {
            let time = packet.pts().or(packet.dts()).filter(|time| time.unsigned_abs() < MOST_TICKS);
            stream.packets.push((packet.position(), time));
        }
    }

    /// What of other streams isn't there beside the one that is read, in one sentence.
    pub(crate) fn left_out(&self, read: &[PacketEntry], time_base: TimeBase) -> Option<String> {
        let mut places: Vec<(i64, Pts)> = read
            .iter()
            .filter(|packet| packet.position >= 0)
            .map(|packet| (packet.position, packet.pts))
            .collect();
        places.sort_unstable();
        let first = read.iter().filter(|packet| packet.is_shown).map(|packet| packet.pts).min()?;
        let (mut secs, mut from) = (0.0, f64::INFINITY);
        for stream in self.streams.values().filter(|stream| stream.packets.len() >= LEAST_FRAMES) {
            let step = stream.step_secs();
            let mut packets: Vec<i64> =
                stream.packets.iter().map(|packet| packet.0).filter(|&place| place >= 0).collect();
            packets.sort_unstable();
            // Runs without a packet of the stream that is read in between.
            let turn = |place: i64| places.partition_point(|&(other, _)| other < place);
            for run in packets.chunk_by(|one, next| turn(*one) == turn(*next)) {
                let run_secs = run.len() as f64 * step;
                if run_secs >= LEAST_LEFT_OUT_SECS && run.len() >= LEAST_FRAMES {
                    secs += run_secs;
                    let shown_until = places[..turn(run[0])].iter().map(|&(_, pts)| pts).max();
                    from =
                        f64::min(from, shown_until.map_or(0.0, |pts| time_base.secs(Pts(pts.0 - first.0))));
                }
            }
        }
        (secs > 0.0).then(|| {
            format!(
                "{secs:.1} s are left out, because the pictures go on in another stream after {from:.1} s; separate the streams (for \
                 example with ffmpeg) and count each"
            )
        })
    }

    /// Other video streams beside the one that is read, in one sentence.
    pub(crate) fn beside(&self, input: &Input) -> Option<String> {
        let is_film = |index: &i32| match self.streams.get(index) {
            Some(stream) => stream.packets.len() >= LEAST_FRAMES,
            None => false,
        };
        match self.streams.keys().filter(|index| is_film(index)).count() {
            0 => None,
            1 => {
                let index = self.streams.keys().find(|index| is_film(index))?;
                let (width, height) = input.video_size(*index);
                Some(format!("it holds another video stream of {width} × {height} px, which is not read"))
            }
            count => Some(format!("it holds {count} other video streams, which are not read")),
        }
    }
}

impl OtherStream {
    /// From frame to frame.
    fn step_secs(&self) -> f64 {
        let mut times: Vec<i64> = self.packets.iter().filter_map(|packet| packet.1).collect();
        times.sort_unstable();
        let mut steps: Vec<i64> =
            times.windows(2).map(|pair| pair[1] - pair[0]).filter(|&step| step > 0).collect();
        steps.sort_unstable();
        steps.get(steps.len() / 2).map_or(0.04, |&step| step as f64 * self.tick_secs)
    }
}
