//! A container being read: streams, packets, seeks.

use super::{Frame, NO_TIMESTAMP, silence_log};
use crate::libav::PacketEntry;
use crate::libav::nal_units::Framing;
use ffmpeg_sys_next as ffi;
use pigweight_core::time::Pts;
use std::ffi::{CStr, CString};
use std::path::Path;
use std::ptr;

/// Allowed demuxers. Playlist formats (hls, concat, dash) are left out: they open other files.
const FORMATS: &CStr = c"mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,matroska\\,webm,mov\\,mp4\\,m4a\\,3gp\\,3g2\\,mj2,avi,mpegts,mpeg,mpegvideo,h264,hevc,m4v,mjpeg,flv,ivf,obu,asf,ogg,nut,dhav,png_pipe,jpeg_pipe,webp_pipe,bmp_pipe,tiff_pipe,image2,mp3,wav,aac,flac";

/// An opened container.
pub(crate) struct Input {
    context: *mut ffi::AVFormatContext,
}

// SAFETY: libav contexts have no thread affinity; `Input` is not `Sync`, so one thread uses it at a time.
unsafe impl Send for Input {}

/// Why a container did not open.
pub(crate) enum OpenFailure {
    /// The path holds a NUL byte.
    Path,
    /// libav's return code.
    Code(i32),
}

/// A stream's description.
#[derive(Clone, Debug)]
pub(crate) struct StreamInfo {
    pub index: i32,
    /// The container's identifier; in an mp4 the track number.
    pub id: u32,
    pub codec: String,
    pub width: u32,
    pub height: u32,
    pub time_base: (i32, i32),
    pub average_frame_rate: (i32, i32),
    pub frames_promised: i64,
    /// By how many frames the order of display may differ from that of decoding.
    pub reordered_frames: i32,
    /// Where a step to the right leads on the screen, then where one down leads (x, y); `None` where nothing is said.
    pub display_matrix: Option<[i32; 4]>,
    /// Of H.264 and H.265.
    pub framing: Framing,
}

/// An audio stream's description.
#[derive(Clone, Debug)]
pub(crate) struct SoundInfo {
    pub index: i32,
    pub codec: String,
    pub time_base: (i32, i32),
}

/// A seek target.
#[derive(Clone, Copy, Debug)]
pub(crate) enum SeekTarget {
    /// In ticks of the stream's time base, as this container's demuxer counts them.
    Timestamp(i64),
    /// A position in the file.
    Byte(i64),
}

impl Input {
    pub(crate) fn open(path: &Path) -> Result<Self, OpenFailure> {
        silence_log();
        // "file:" keeps a name like "concat:a|b" from being taken for another protocol.
        let mut url = b"file:".to_vec();
        url.extend_from_slice(path.as_os_str().as_encoded_bytes());
        let url = CString::new(url).map_err(|_| OpenFailure::Path)?;
        let mut context = ptr::null_mut();
        let mut options = ptr::null_mut();
        // SAFETY: all strings are NUL-terminated and outlive the calls; `context` and `options` are null or owned
        // by libav's own functions; on failure avformat_open_input frees the context itself.
        let code = unsafe {
            ffi::av_dict_set(&raw mut options, c"protocol_whitelist".as_ptr(), c"file".as_ptr(), 0);
            ffi::av_dict_set(&raw mut options, c"format_whitelist".as_ptr(), FORMATS.as_ptr(), 0);
            let code =
                ffi::avformat_open_input(&raw mut context, url.as_ptr(), ptr::null(), &raw mut options);
            ffi::av_dict_free(&raw mut options);
            code
        };
        if code < 0 {
            return Err(OpenFailure::Code(code));
        }
        let input = Self { context };
        // SAFETY: the context was opened above; a null options array is allowed.
        let code = unsafe { ffi::avformat_find_stream_info(input.context, ptr::null_mut()) };
        if code < 0 { Err(OpenFailure::Code(code)) } else { Ok(input) }
    }

    /// The video stream that libav would select, which may be an attached picture.
    pub(crate) fn best_video_stream(&self) -> Option<i32> {
        // SAFETY: the context is open; the decoder pointer may be null.
        let index = unsafe {
            ffi::av_find_best_stream(
                self.context,
                ffi::AVMediaType::AVMEDIA_TYPE_VIDEO,
                -1,
                -1,
                ptr::null_mut(),
                0,
            )
        };
        (index >= 0).then_some(index)
    }

    /// All video streams but attached pictures, each with the number of frames that the container states, or 0.
    pub(crate) fn video_streams(&self) -> Vec<(i32, i64)> {
        (0..self.stream_count())
            .filter_map(|index| {
                let stream = self.video_stream_pointer(index)?;
                // SAFETY: `video_stream_pointer` hands out only pointers to streams of this context.
                Some((index, unsafe { (*stream).nb_frames }))
            })
            .collect()
    }

    /// Seconds of a tick of a video stream, as a fraction.
    pub(crate) fn video_time_base(&self, index: i32) -> Option<(i32, i32)> {
        // SAFETY: `video_stream_pointer` hands out only pointers to streams of this context.
        self.video_stream_pointer(index)
            .map(|stream| unsafe { ((*stream).time_base.num, (*stream).time_base.den) })
    }

    /// Width and height of a video stream, px.
    pub(crate) fn video_size(&self, index: i32) -> (i32, i32) {
        self.video_stream_pointer(index).map_or((0, 0), |stream| {
            // SAFETY: `video_stream_pointer` hands out only pointers to streams of this context, whose codec parameters live as long.
            unsafe { ((*(*stream).codecpar).width, (*(*stream).codecpar).height) }
        })
    }

    /// A video stream that isn't an attached picture.
    fn video_stream_pointer(&self, index: i32) -> Option<*mut ffi::AVStream> {
        self.stream(index).filter(|&stream| {
            // SAFETY: `stream` hands out only pointers to streams of this context, whose codec parameters live as long.
            unsafe {
                (*(*stream).codecpar).codec_type == ffi::AVMediaType::AVMEDIA_TYPE_VIDEO
                    && (*stream).disposition & ffi::AV_DISPOSITION_ATTACHED_PIC == 0
            }
        })
    }

    /// A video stream; `None` if it is something else or an attached picture.
    pub(crate) fn video_stream(&self, index: i32) -> Option<StreamInfo> {
        let stream = self.video_stream_pointer(index)?;
        // SAFETY: `stream` and its codec parameters live as long as the context.
        unsafe {
            let parameters = &*(*stream).codecpar;
            let codec = CStr::from_ptr(ffi::avcodec_get_name(parameters.codec_id)).to_string_lossy();
            Some(StreamInfo {
                index,
                id: u32::try_from((*stream).id).unwrap_or(0),
                framing: Framing::of_head(&codec, self.head(index)),
                codec: codec.into_owned(),
                width: u32::try_from(parameters.width).unwrap_or(0),
                height: u32::try_from(parameters.height).unwrap_or(0),
                time_base: ((*stream).time_base.num, (*stream).time_base.den),
                average_frame_rate: ((*stream).avg_frame_rate.num, (*stream).avg_frame_rate.den),
                frames_promised: (*stream).nb_frames,
                reordered_frames: parameters.video_delay,
                display_matrix: display_matrix(stream),
            })
        }
    }

    /// Width of a stored pixel over its height: the container's before the frame's, as libav's own tools choose; `None` where neither
    /// says anything.
    pub(crate) fn pixel_aspect(&self, stream_index: i32, frame: &Frame) -> Option<(u32, u32)> {
        let stream = self.stream(stream_index)?;
        // SAFETY: the stream belongs to this context, which is open; the frame is only read.
        let ratio = unsafe {
            ffi::av_guess_sample_aspect_ratio(self.context, stream, ptr::from_ref(frame.get()).cast_mut())
        };
        match (u32::try_from(ratio.num), u32::try_from(ratio.den)) {
            (Ok(width @ 1..), Ok(height @ 1..)) => Some((width, height)),
            _ => None,
        }
    }

    /// A stream's header, as its container keeps it ("extradata").
    pub(crate) fn head(&self, stream_index: i32) -> &[u8] {
        let Some(stream) = self.stream(stream_index) else { return &[] };
        // SAFETY: a stream of this context, whose codec parameters live as long as it; the header has the length that is stated
        // beside it.
        unsafe {
            let parameters = (*stream).codecpar;
            match usize::try_from((*parameters).extradata_size) {
                Ok(length) if !(*parameters).extradata.is_null() => {
                    std::slice::from_raw_parts((*parameters).extradata, length)
                }
                _ => &[],
            }
        }
    }

    /// The audio stream that belongs to a video stream.
    pub(crate) fn sound_stream(&self, video_stream: i32) -> Option<SoundInfo> {
        // SAFETY: the context is open; the decoder pointer may be null; `stream` hands out only pointers to streams of
        // this context, and codec names are static strings.
        unsafe {
            let index = ffi::av_find_best_stream(
                self.context,
                ffi::AVMediaType::AVMEDIA_TYPE_AUDIO,
                -1,
                video_stream,
                ptr::null_mut(),
                0,
            );
            let stream = self.stream(index)?;
            let name = ffi::avcodec_get_name((*(*stream).codecpar).codec_id);
            Some(SoundInfo {
                index,
                codec: CStr::from_ptr(name).to_string_lossy().into_owned(),
                time_base: ((*stream).time_base.num, (*stream).time_base.den),
            })
        }
    }

    /// The kinds of streams, to report what a file without video contains.
    pub(crate) fn stream_kinds(&self) -> Vec<&'static str> {
        (0..self.stream_count())
            .filter_map(|index| self.stream(index))
            // SAFETY: `stream` hands out only pointers to streams of this context.
            .map(|stream| match unsafe { (*(*stream).codecpar).codec_type } {
                ffi::AVMediaType::AVMEDIA_TYPE_VIDEO => "an attached picture",
                ffi::AVMediaType::AVMEDIA_TYPE_AUDIO => "sound",
                ffi::AVMediaType::AVMEDIA_TYPE_SUBTITLE => "subtitles",
                _ => "data",
            })
            .collect()
    }

    /// The container's short name, "mov,mp4,m4a,3gp,3g2,mj2" for instance.
    pub(crate) fn format_name(&self) -> String {
        // SAFETY: an opened input has its format, whose name is a static NUL-terminated string.
        unsafe { CStr::from_ptr((*(*self.context).iformat).name).to_string_lossy().into_owned() }
    }

    /// Duration in seconds, as stated by the container or guessed by libav; `None` if neither knows.
    pub(crate) fn stated_secs(&self) -> Option<f64> {
        // SAFETY: the context is open.
        let ticks = unsafe { (*self.context).duration };
        (ticks > 0).then(|| ticks as f64 / f64::from(ffi::AV_TIME_BASE))
    }

    /// What the container, or else one of its streams, states under a name.
    pub(crate) fn stated(&self, name: &CStr) -> Option<String> {
        // SAFETY: the context and its streams are open; their metadata may be null, which is an empty dictionary, and values are
        // NUL-terminated strings that live as long as it.
        unsafe {
            let find = |metadata: *mut ffi::AVDictionary| {
                let entry = ffi::av_dict_get(metadata, name.as_ptr(), ptr::null(), 0);
                (!entry.is_null()).then(|| CStr::from_ptr((*entry).value).to_string_lossy().into_owned())
            };
            let streams = (0..self.stream_count()).filter_map(|index| self.stream(index));
            find((*self.context).metadata)
                .or_else(|| streams.into_iter().find_map(|stream| find((*stream).metadata)))
        }
    }

    /// Stops the demuxer from returning packets of streams without pictures.
    pub(crate) fn keep_pictures(&mut self) {
        let streams: Vec<i32> = self.video_streams().into_iter().map(|(index, _)| index).collect();
        self.keep_only(&streams);
        for index in streams {
            if let Some(stream) = self.stream(index) {
                // SAFETY: a pointer to a stream of this context, which `&mut self` alone uses now.
                unsafe { (*stream).discard = ffi::AVDiscard::AVDISCARD_DEFAULT }
            }
        }
    }

    /// Stops the demuxer from returning packets of other streams.
    pub(crate) fn keep_only(&mut self, stream_indexes: &[i32]) {
        for index in 0..self.stream_count() {
            if let Some(stream) = self.stream(index).filter(|_| !stream_indexes.contains(&index)) {
                // SAFETY: a pointer to a stream of this context, which `&mut self` alone uses now.
                unsafe { (*stream).discard = ffi::AVDiscard::AVDISCARD_ALL }
            }
        }
    }

    /// The packets that the demuxer knows without reading them, with their pts set to their dts.
    pub(crate) fn listed_packets(&self, stream_index: i32) -> Vec<PacketEntry> {
        let Some(stream) = self.stream(stream_index) else { return Vec::new() };
        // SAFETY: a pointer to a stream of this context.
        let count = unsafe { ffi::avformat_index_get_entries_count(stream) };
        (0..count)
            .filter_map(|number| {
                // SAFETY: the number is below the count; the entry belongs to the stream and is copied at once.
                let entry = unsafe { ffi::avformat_index_get_entry(stream, number).as_ref() }?;
                let size = u32::try_from(entry.size()).unwrap_or(0);
                let has = |flag: u32| entry.flags().cast_unsigned() & flag != 0;
                Some(PacketEntry {
                    pts: Pts(entry.timestamp),
                    dts: Some(entry.timestamp),
                    position: entry.pos,
                    size,
                    is_key: has(ffi::AVINDEX_KEYFRAME as u32),
                    is_shown: !has(ffi::AVINDEX_DISCARD_FRAME as u32) && size > 0,
                })
            })
            .collect()
    }

    /// The next packet of any kept stream; `Ok(None)` at the end.
    pub(crate) fn read(&mut self) -> Result<Option<Packet>, i32> {
        super::step();
        let packet = Packet::new().ok_or(ffi::AVERROR(ffi::ENOMEM))?;
        // SAFETY: both objects are valid and exclusively ours.
        match unsafe { ffi::av_read_frame(self.context, packet.0) } {
            0.. => Ok(Some(packet)),
            ffi::AVERROR_EOF => Ok(None),
            code => Err(code),
        }
    }

    /// Seeks to `target` or before; the landing must be checked by reading on.
    pub(crate) fn seek(&mut self, stream_index: i32, target: SeekTarget) -> Result<(), i32> {
        let (timestamp, flags) = match target {
            SeekTarget::Timestamp(timestamp) => (timestamp, ffi::AVSEEK_FLAG_BACKWARD),
            SeekTarget::Byte(position) => (position, ffi::AVSEEK_FLAG_BYTE),
        };
        // SAFETY: the context is open; a stream index out of range is refused by libav.
        let code = unsafe { ffi::av_seek_frame(self.context, stream_index, timestamp, flags) };
        if code < 0 { Err(code) } else { Ok(()) }
    }

    fn stream_count(&self) -> i32 {
        // SAFETY: the context is open.
        i32::try_from(unsafe { (*self.context).nb_streams }).unwrap_or(0)
    }

    /// The stream's pointer, valid as long as `self`; `None` if there is no such stream.
    pub(super) fn stream(&self, index: i32) -> Option<*mut ffi::AVStream> {
        let offset = usize::try_from(index).ok().filter(|_| index < self.stream_count())?;
        // SAFETY: `offset` is below nb_streams, the length of the array.
        Some(unsafe { *(*self.context).streams.add(offset) })
    }
}

impl Drop for Input {
    fn drop(&mut self) {
        // SAFETY: opened by avformat_open_input and closed only here.
        unsafe { ffi::avformat_close_input(&raw mut self.context) }
    }
}

/// The part of the display matrix that turns and mirrors; `None` without one.
///
/// # Safety
/// `stream` belongs to an open context.
unsafe fn display_matrix(stream: *mut ffi::AVStream) -> Option<[i32; 4]> {
    let kind = ffi::AVPacketSideDataType::AV_PKT_DATA_DISPLAYMATRIX;
    // SAFETY: per this function's contract; libav answers null where there is no such side data, and nine
    // 32-bit numbers where there is, which need not be aligned.
    unsafe {
        #[cfg(side_data_in_codec_parameters)]
        let (data, size) = {
            let parameters = &*(*stream).codecpar;
            let side_data =
                ffi::av_packet_side_data_get(parameters.coded_side_data, parameters.nb_coded_side_data, kind);
            if side_data.is_null() { (ptr::null_mut(), 0) } else { ((*side_data).data, (*side_data).size) }
        };
        #[cfg(not(side_data_in_codec_parameters))]
        let (data, size) = {
            let mut size = 0_usize;
            let data = ffi::av_stream_get_side_data(stream, kind, &raw mut size);
            (data, size)
        };
        if data.is_null() || size < 36 {
            return None;
        }
        // Rows of three: a step to the right, a step down, the shift.
        let number = |place: usize| data.cast::<i32>().add(place).read_unaligned();
        Some([number(0), number(1), number(3), number(4)])
    }
}

/// One compressed packet.
pub(crate) struct Packet(pub(super) *mut ffi::AVPacket);

// SAFETY: a packet's buffers are reference-counted with atomics; `Packet` is not `Sync`.
unsafe impl Send for Packet {}

impl Packet {
    pub(super) fn new() -> Option<Self> {
        // SAFETY: returns a new packet or null.
        let packet = unsafe { ffi::av_packet_alloc() };
        (!packet.is_null()).then_some(Self(packet))
    }

    /// A packet with a copy of these bytes; `None` if there is no memory for it.
    pub(crate) fn of(bytes: &[u8]) -> Option<Self> {
        let size = i32::try_from(bytes.len()).ok()?;
        let packet = Self::new()?;
        // SAFETY: the packet is valid and empty. `av_new_packet` gives it `size` bytes and the padding that decoders need behind them.
        unsafe {
            if ffi::av_new_packet(packet.0, size) < 0 {
                return None;
            }
            ptr::copy_nonoverlapping(bytes.as_ptr(), (*packet.0).data, bytes.len());
        }
        Some(packet)
    }

    /// Another packet with the same bytes, not copied.
    pub(crate) fn share(&self) -> Option<Self> {
        // SAFETY: the packet is valid; the answer is a new one that holds a reference of its own, or null.
        let packet = unsafe { ffi::av_packet_clone(self.0) };
        (!packet.is_null()).then_some(Self(packet))
    }

    fn get(&self) -> &ffi::AVPacket {
        // SAFETY: allocated in `new`, freed only on drop.
        unsafe { &*self.0 }
    }

    pub(crate) fn stream_index(&self) -> i32 {
        self.get().stream_index
    }

    pub(crate) fn pts(&self) -> Option<i64> {
        Some(self.get().pts).filter(|&pts| pts != NO_TIMESTAMP)
    }

    pub(crate) fn dts(&self) -> Option<i64> {
        Some(self.get().dts).filter(|&dts| dts != NO_TIMESTAMP)
    }

    pub(crate) fn position(&self) -> i64 {
        self.get().pos
    }

    pub(crate) fn duration(&self) -> i64 {
        self.get().duration
    }

    pub(crate) fn size(&self) -> u32 {
        u32::try_from(self.get().size).unwrap_or(0)
    }

    pub(crate) fn is_key(&self) -> bool {
        self.get().flags & ffi::AV_PKT_FLAG_KEY != 0
    }

    /// Needed for decoding, but outside what the edit list shows.
    pub(crate) fn is_hidden(&self) -> bool {
        self.get().flags & ffi::AV_PKT_FLAG_DISCARD != 0
    }

    /// Its bytes.
    pub(crate) fn bytes(&self) -> &[u8] {
        let packet = self.get();
        match usize::try_from(packet.size) {
            // SAFETY: `data` holds `size` bytes, which nobody writes while the packet is borrowed.
            Ok(size) if !packet.data.is_null() => unsafe { std::slice::from_raw_parts(packet.data, size) },
            _ => &[],
        }
    }

    /// Whether it is a keyframe is said of this one as of the other.
    pub(crate) fn with_flags_of(self, other: &Self) -> Self {
        // SAFETY: the packet is exclusively ours.
        unsafe { (*self.0).flags = other.get().flags }
        self
    }

    /// Gives the packet a number that its frame will carry through the decoder's reordering.
    pub(crate) fn set_ordinal(&mut self, ordinal: i64) {
        // SAFETY: the packet is exclusively ours.
        unsafe {
            (*self.0).pts = ordinal;
        }
    }
}

impl Drop for Packet {
    fn drop(&mut self) {
        // SAFETY: allocated in `new`, freed only here.
        unsafe { ffi::av_packet_free(&raw mut self.0) }
    }
}
