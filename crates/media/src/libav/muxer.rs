//! Muxes packets of an input into an mp4 fragment, in memory, without transcoding.

use super::{Input, Packet};
use ffmpeg_sys_next as ffi;
use std::ptr;

/// A fragment being made: one or more streams, in the end one "moof" and its "mdat".
pub(crate) struct FragmentMuxer {
    context: *mut ffi::AVFormatContext,
    /// By stream: unwraps AAC from a transport stream's framing. Null if there is nothing to do; libav
    /// does this by itself for all mp4 files except fragmented ones.
    unwraps: Vec<*mut ffi::AVBSFContext>,
    /// By stream.
    ticks: Vec<(i32, i32)>,
}

// SAFETY: no thread affinity; not `Sync`.
unsafe impl Send for FragmentMuxer {}

/// Decode and presentation time of a packet, in ticks of its stream's clock from the start of the whole video.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PacketTimes {
    pub pts: i64,
    pub dts: i64,
    pub duration: i64,
}

/// A stream of an opened input, and the length of the ticks of its packets' times: seconds as a fraction.
#[derive(Clone, Copy)]
pub(crate) struct StreamToWrite<'a> {
    pub input: &'a Input,
    pub index: i32,
    pub tick: (i32, i32),
    /// In place of its own header: parameter sets between start codes. Its packets then have start codes too.
    pub head: Option<&'a [u8]>,
    /// Of the picture: width of a stored pixel over its height.
    pub pixel_aspect: (u32, u32),
}

impl FragmentMuxer {
    /// For these streams.
    pub(crate) fn create(streams: &[StreamToWrite<'_>]) -> Result<Self, i32> {
        super::silence_log();
        let ticks = streams.iter().map(|stream| stream.tick).collect();
        let mut muxer = Self { context: ptr::null_mut(), unwraps: Vec::new(), ticks };
        // SAFETY: every pointer is checked before use; the value owns the context as soon as it exists, so each early
        // return frees it. Codec parameters are copied from streams that live as long as their borrowed inputs.
        unsafe {
            check(ffi::avformat_alloc_output_context2(
                &raw mut muxer.context,
                ptr::null(),
                c"mp4".as_ptr(),
                ptr::null(),
            ))?;
            // Older versions treat Opus and FLAC as experimental.
            (*muxer.context).strict_std_compliance = ffi::FF_COMPLIANCE_EXPERIMENTAL;
            for &StreamToWrite { input, index, tick, head, pixel_aspect } in streams {
                let from = input.stream(index).ok_or(ffi::AVERROR_STREAM_NOT_FOUND)?;
                let stream = ffi::avformat_new_stream(muxer.context, ptr::null());
                if stream.is_null() {
                    return Err(ffi::AVERROR(ffi::ENOMEM));
                }
                check(ffi::avcodec_parameters_copy((*stream).codecpar, (*from).codecpar))?;
                copy_display_matrix(from, stream)?;
                if let Some(head) = head {
                    set_head((*stream).codecpar, head)?;
                }
                let aspect = ffi::AVRational {
                    num: i32::try_from(pixel_aspect.0).unwrap_or(1),
                    den: i32::try_from(pixel_aspect.1).unwrap_or(1),
                };
                (*stream).sample_aspect_ratio = aspect;
                (*(*stream).codecpar).sample_aspect_ratio = aspect;
                // The input container's tag means nothing in an mp4; Apple's players want HEVC under this one.
                let is_hevc = (*(*from).codecpar).codec_id == ffi::AVCodecID::AV_CODEC_ID_HEVC;
                (*(*stream).codecpar).codec_tag = if is_hevc { u32::from_le_bytes(*b"hvc1") } else { 0 };
                let mut unwrap = ptr::null_mut();
                let parameters = &*(*stream).codecpar;
                if parameters.codec_id == ffi::AVCodecID::AV_CODEC_ID_AAC && parameters.extradata_size == 0 {
                    let filter = ffi::av_bsf_get_by_name(c"aac_adtstoasc".as_ptr());
                    if filter.is_null() {
                        return Err(ffi::AVERROR_BSF_NOT_FOUND);
                    }
                    check(ffi::av_bsf_alloc(filter, &raw mut unwrap))?;
                    muxer.unwraps.push(unwrap);
                    check(ffi::avcodec_parameters_copy((*unwrap).par_in, (*stream).codecpar))?;
                    (*unwrap).time_base_in = (*from).time_base;
                    check(ffi::av_bsf_init(unwrap))?;
                } else {
                    muxer.unwraps.push(unwrap);
                }
                // The muxer takes a multiple of it, in which every tick of the input is a whole number.
                (*stream).time_base = ffi::AVRational { num: 1, den: tick.1 };
            }
            check(ffi::avio_open_dyn_buf(&raw mut (*muxer.context).pb))?;
            let mut options = ptr::null_mut();
            // The "moov" waits for the first packets, out of which some streams' parameters come. Without an edit list
            // a fragment's decode time is that of its first packet.
            let flags = c"frag_custom+delay_moov+default_base_moof+frag_discont+skip_trailer";
            ffi::av_dict_set(&raw mut options, c"movflags".as_ptr(), flags.as_ptr(), 0);
            ffi::av_dict_set(&raw mut options, c"use_editlist".as_ptr(), c"0".as_ptr(), 0);
            ffi::av_dict_set(&raw mut options, c"avoid_negative_ts".as_ptr(), c"disabled".as_ptr(), 0);
            let code = ffi::avformat_write_header(muxer.context, &raw mut options);
            ffi::av_dict_free(&raw mut options);
            check(code)?;
        }
        Ok(muxer)
    }

    /// Adds a packet to the stream with this number, with these times.
    pub(crate) fn write(&mut self, packet: &mut Packet, number: u32, times: PacketTimes) -> Result<(), i32> {
        let tick = *self.ticks.get(number as usize).ok_or(ffi::AVERROR_STREAM_NOT_FOUND)?;
        // SAFETY: the context is open; the stream's number is below nb_streams; the packet is borrowed alone, and the
        // muxer takes a reference of what it holds.
        unsafe {
            if number >= (*self.context).nb_streams {
                return Err(ffi::AVERROR_STREAM_NOT_FOUND);
            }
            let stream = *(*self.context).streams.add(number as usize);
            let raw = &mut *packet.0;
            (raw.pts, raw.dts, raw.duration) = (times.pts, times.dts, times.duration);
            raw.pos = -1;
            let from = ffi::AVRational { num: tick.0, den: tick.1 };
            let unwrap = self.unwraps.get(number as usize).copied().unwrap_or(ptr::null_mut());
            if !unwrap.is_null() {
                check(ffi::av_bsf_send_packet(unwrap, packet.0))?;
                // One packet in, one packet out.
                check(ffi::av_bsf_receive_packet(unwrap, packet.0))?;
            }
            (*packet.0).stream_index = number.cast_signed();
            ffi::av_packet_rescale_ts(packet.0, from, (*stream).time_base);
            check(ffi::av_write_frame(self.context, packet.0))
        }
    }

    /// The boxes: "ftyp" and "moov", "moof" and "mdat".
    pub(crate) fn finish(self) -> Result<Vec<u8>, i32> {
        // SAFETY: the context is open; a null packet asks for what is held back to be written. The dynamic buffer is
        // copied for the length that libav gives, freed, and not seen again, since `pb` is cleared.
        unsafe {
            // The first time only "moov" comes, in some versions.
            for _ in 0..2 {
                check(ffi::av_write_frame(self.context, ptr::null_mut()))?;
            }
            let mut buffer = ptr::null_mut();
            let length = ffi::avio_close_dyn_buf((*self.context).pb, &raw mut buffer);
            (*self.context).pb = ptr::null_mut();
            let length = usize::try_from(length).unwrap_or(0);
            let bytes = if buffer.is_null() {
                Vec::new()
            } else {
                std::slice::from_raw_parts(buffer, length).to_vec()
            };
            ffi::av_free(buffer.cast());
            Ok(bytes)
        }
    }
}

/// Replaces a stream's header.
///
/// # Safety
/// The parameters are valid and exclusively the caller's.
unsafe fn set_head(parameters: *mut ffi::AVCodecParameters, head: &[u8]) -> Result<(), i32> {
    const PADDING: usize = ffi::AV_INPUT_BUFFER_PADDING_SIZE as usize;
    let size = i32::try_from(head.len()).map_err(|_| ffi::AVERROR(ffi::EINVAL))?;
    // SAFETY: per this function's contract; the new memory has room for the header and the padding that libav wants behind it, and
    // belongs to the parameters, which free it.
    unsafe {
        let memory = ffi::av_mallocz(head.len() + PADDING).cast::<u8>();
        if memory.is_null() {
            return Err(ffi::AVERROR(ffi::ENOMEM));
        }
        ptr::copy_nonoverlapping(head.as_ptr(), memory, head.len());
        ffi::av_freep((&raw mut (*parameters).extradata).cast());
        (*parameters).extradata = memory;
        (*parameters).extradata_size = size;
    }
    Ok(())
}

/// A picture's rotation. In newer versions it is a codec parameter and copied with the others.
///
/// # Safety
/// Both streams belong to open contexts.
#[cfg_attr(
    side_data_in_codec_parameters,
    expect(clippy::unnecessary_wraps, reason = "older versions may be out of memory")
)]
unsafe fn copy_display_matrix(from: *mut ffi::AVStream, to: *mut ffi::AVStream) -> Result<(), i32> {
    #[cfg(not(side_data_in_codec_parameters))]
    // SAFETY: per this function's contract; libav answers null where there is no such side data, and otherwise as many
    // bytes as `size` says; the copy is made by libav for the other stream, of the same size.
    unsafe {
        let kind = ffi::AVPacketSideDataType::AV_PKT_DATA_DISPLAYMATRIX;
        let mut size = 0_usize;
        let matrix = ffi::av_stream_get_side_data(from, kind, &raw mut size);
        if !matrix.is_null() {
            let copy = ffi::av_stream_new_side_data(to, kind, size);
            if copy.is_null() {
                return Err(ffi::AVERROR(ffi::ENOMEM));
            }
            ptr::copy_nonoverlapping(matrix, copy, size);
        }
    }
    #[cfg(side_data_in_codec_parameters)]
    let _copied_already = (from, to);
    Ok(())
}

fn check(code: i32) -> Result<(), i32> {
    if code < 0 { Err(code) } else { Ok(()) }
}

impl Drop for FragmentMuxer {
    fn drop(&mut self) {
        // SAFETY: null or made in `create`; the buffer is null once `finish` has taken it.
        unsafe {
            for unwrap in &mut self.unwraps {
                ffi::av_bsf_free(unwrap);
            }
            if self.context.is_null() {
                return;
            }
            if !(*self.context).pb.is_null() {
                let mut buffer = ptr::null_mut();
                ffi::avio_close_dyn_buf((*self.context).pb, &raw mut buffer);
                ffi::av_free(buffer.cast());
                (*self.context).pb = ptr::null_mut();
            }
            ffi::avformat_free_context(self.context);
        }
    }
}
