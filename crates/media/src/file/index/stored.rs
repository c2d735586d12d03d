//! The stored form of an index: a version byte, a hash, then compressed columns of differences.
//!
//! A video of a day has a million packets, and opening it waits for its index. Most differences are the same
//! number again and again, which costs almost nothing to compress, store and read.

use super::{Timing, VideoIndex, stated_order};
use crate::error::{Error, Result};
use crate::file::clock::{Clock, MOST_CLOCKS, are_possible};
use crate::file::packets::MOST_TICKS;
use crate::file::shape::Shape;
use crate::libav::PacketEntry;
use pigweight_core::time::Pts;
use serde::{Deserialize, Serialize};
use std::io::{Read as _, Write as _};

/// Raised whenever the stored form changes; an older one is rebuilt.
const FORMAT_VERSION: u8 = 5;
/// Of BLAKE3: a flipped bit would shift all times after it.
const HASH_BYTES: usize = 16;
/// Brotli's quality and window. The next better quality takes three times the time for a tenth of the bytes.
const COMPRESSION: u32 = 4;
const WINDOW_BITS: u32 = 20;
const BUFFER_BYTES: usize = 16 << 10;
/// The most packets of an index: 15 days at 25 frames a second. Damage must not allocate more memory than there is.
const MOST_PACKETS: usize = 32 << 20;
/// Bytes of them in columns: a few compressed kB can claim any number.
const MOST_PLAIN_BYTES: u64 = 512 << 20;

const IS_KEY: u8 = 1;
const IS_SHOWN: u8 = 2;
const HAS_DTS: u8 = 4;

/// One entry of each column for each packet.
#[derive(Default, Serialize, Deserialize)]
struct Columns {
    flags: Vec<u8>,
    size: Vec<u32>,
    /// From the end of the previous packet.
    position: Vec<i64>,
    /// From the previous dts; 0 if there is none.
    dts: Vec<i64>,
    /// From its own dts, or from the last known one.
    pts: Vec<i64>,
}

#[derive(Serialize, Deserialize)]
struct Stored {
    timing: Timing,
    last_duration_ticks: i64,
    damage: Option<String>,
    repairs: Option<String>,
    clocks: Vec<Clock>,
    restated: Vec<(u32, Option<i64>)>,
    shape: Shape,
    columns: Columns,
}

/// The values that the next packet's differences refer to.
#[derive(Default)]
struct Before {
    end: i64,
    dts: i64,
}

impl Columns {
    fn push(&mut self, packet: &PacketEntry, before: &mut Before) {
        let flag = |is: bool, flag: u8| if is { flag } else { 0 };
        self.flags.push(
            flag(packet.is_key, IS_KEY)
                | flag(packet.is_shown, IS_SHOWN)
                | flag(packet.dts.is_some(), HAS_DTS),
        );
        self.size.push(packet.size);
        self.position.push(packet.position.wrapping_sub(before.end));
        before.end = packet.position.wrapping_add(packet.size.into());
        let dts = packet.dts.unwrap_or(before.dts);
        self.dts.push(dts.wrapping_sub(before.dts));
        before.dts = dts;
        self.pts.push(packet.pts.0.wrapping_sub(dts));
    }

    /// `None` if the columns differ in length.
    fn packets(&self) -> Option<Vec<PacketEntry>> {
        let count = self.flags.len();
        let lengths = [self.size.len(), self.position.len(), self.dts.len(), self.pts.len()];
        if count > MOST_PACKETS || lengths.iter().any(|&length| length != count) {
            return None;
        }
        let mut before = Before::default();
        let packets = (0..count).map(|number| {
            let (flags, size) = (self.flags[number], self.size[number]);
            let position = before.end.wrapping_add(self.position[number]);
            before.end = position.wrapping_add(size.into());
            before.dts = before.dts.wrapping_add(self.dts[number]);
            PacketEntry {
                pts: Pts(before.dts.wrapping_add(self.pts[number])),
                dts: (flags & HAS_DTS != 0).then_some(before.dts),
                position,
                size,
                is_key: flags & IS_KEY != 0,
                is_shown: flags & IS_SHOWN != 0,
            }
        });
        Some(packets.collect())
    }
}

impl VideoIndex {
    /// The stored form.
    pub fn to_bytes(&self) -> Vec<u8> {
        let (mut columns, mut before) = (Columns::default(), Before::default());
        for packet in &self.packets {
            columns.push(packet, &mut before);
        }
        let stored = Stored {
            timing: self.timing,
            last_duration_ticks: self.last_duration_ticks,
            damage: self.damage.clone(),
            repairs: self.repairs.clone(),
            clocks: self.clocks.clone(),
            restated: self.restated.clone(),
            shape: self.shape,
            columns,
        };
        let plain = postcard::to_stdvec(&stored).unwrap_or_default();
        let mut bytes = vec![FORMAT_VERSION];
        bytes.extend_from_slice(&blake3::hash(&plain).as_bytes()[..HASH_BYTES]);
        let mut compressor =
            brotli::CompressorWriter::new(&mut bytes, BUFFER_BYTES, COMPRESSION, WINDOW_BITS);
        // Writing to memory can't fail.
        let _written = compressor.write_all(&plain);
        drop(compressor);
        bytes
    }

    /// Parses the result of [`Self::to_bytes`].
    ///
    /// # Errors
    /// [`Error::StaleIndex`] for another version or bytes that aren't an index.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        let Some((&FORMAT_VERSION, bytes)) = bytes.split_first() else { return Err(Error::StaleIndex) };
        let (hash, compressed) = bytes.split_first_chunk::<HASH_BYTES>().ok_or(Error::StaleIndex)?;
        let mut plain = Vec::new();
        let decompressor = brotli::Decompressor::new(compressed, BUFFER_BYTES);
        decompressor.take(MOST_PLAIN_BYTES).read_to_end(&mut plain).map_err(|_| Error::StaleIndex)?;
        if !blake3::hash(&plain).as_bytes().starts_with(hash) {
            return Err(Error::StaleIndex);
        }
        let stored: Stored = postcard::from_bytes(&plain).map_err(|_| Error::StaleIndex)?;
        drop(plain);
        let packets = stored.columns.packets().ok_or(Error::StaleIndex)?;
        if !are_possible(&packets)
            || !(0..MOST_TICKS.cast_signed()).contains(&stored.last_duration_ticks)
            || stored.clocks.len() > MOST_CLOCKS
            || !are_ordinals(stored.clocks.iter().map(|clock| clock.first), packets.len())
            || !are_ordinals(stored.restated.iter().map(|&(number, _)| number), packets.len())
            || !stored.shape.is_possible()
        {
            return Err(Error::StaleIndex);
        }
        // Counted times increase in frame order as well.
        let display = stated_order(&packets).ok_or(Error::StaleIndex)?;
        Ok(Self {
            packets,
            display,
            timing: stored.timing,
            last_duration_ticks: stored.last_duration_ticks,
            damage: stored.damage,
            repairs: stored.repairs,
            clocks: stored.clocks,
            restated: stored.restated,
            shape: stored.shape,
        })
    }
}

/// Whether these ascend and are below `count`.
fn are_ordinals(mut ordinals: impl Iterator<Item = u32>, count: usize) -> bool {
    let mut before = None;
    ordinals.all(|number| {
        let ascends = before.replace(number).is_none_or(|before| before < number);
        ascends && (number as usize) < count
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "videos made for the test")]
mod tests {
    use super::*;
    use crate::Video;
    use pigweight_testkit::videos::video;

    #[test]
    fn every_index_comes_back_as_it_was() {
        for name in [
            "gop25.mp4",
            "opengop.mp4",
            "vfr.mp4",
            "editlist.mp4",
            "raw.h264",
            "h264.avi",
            "copy.ts",
            "clock_back.ts",
            "same_time_b.mkv",
        ] {
            let opened = Video::open(&video(name)).unwrap();
            let bytes = opened.index().to_bytes();
            assert_eq!(&VideoIndex::from_bytes(&bytes).unwrap(), opened.index(), "{name}");
        }
    }

    #[test]
    fn an_invalid_stored_index_is_rebuilt() {
        let opened = Video::open(&video("gop25.mp4")).unwrap();
        let bytes = opened.index().to_bytes();
        let older = [&[FORMAT_VERSION - 1], &bytes[1..]].concat();
        for bad in [&[][..], &older, &bytes[..bytes.len() / 2], &[FORMAT_VERSION; 40]] {
            assert!(matches!(VideoIndex::from_bytes(bad), Err(Error::StaleIndex)));
        }
        for bit in 0..8 * bytes.len() {
            let mut damaged = bytes.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            // Some bits have no meaning: then the result is what was stored.
            let read = VideoIndex::from_bytes(&damaged);
            assert!(read.is_err() || read.is_ok_and(|read| &read == opened.index()), "bit {bit}");
        }
    }

    #[test]
    fn few_bytes_that_claim_many_take_no_memory() {
        let mut bomb = vec![FORMAT_VERSION];
        bomb.extend_from_slice(&[0; HASH_BYTES]);
        let mut compressor = brotli::CompressorWriter::new(&mut bomb, BUFFER_BYTES, 1, WINDOW_BITS);
        let zeros = vec![0; 1 << 20];
        for _ in 0..(MOST_PLAIN_BYTES >> 20) + 8 {
            compressor.write_all(&zeros).unwrap();
        }
        drop(compressor);
        assert!(bomb.len() < 1 << 20);
        assert!(matches!(VideoIndex::from_bytes(&bomb), Err(Error::StaleIndex)));
    }

    #[test]
    fn columns_of_different_length_are_refused() {
        let packet = PacketEntry {
            pts: Pts(i64::MAX),
            dts: None,
            position: i64::MIN,
            size: u32::MAX,
            is_key: true,
            is_shown: true,
        };
        let (mut columns, mut before) = (Columns::default(), Before::default());
        columns.push(&packet, &mut before);
        columns.push(&packet, &mut before);
        assert_eq!(columns.packets().unwrap(), [packet, packet], "whatever the numbers");
        columns.pts.pop();
        assert!(columns.packets().is_none());
    }
}
