//! HTTP Live Streaming: a playlist, and the pieces that it names.

use crate::web::Shared;
use crate::web::api::types::present_video;
use crate::web::media::file::unchanged;
use crate::web::media::hls_part::Piece;
use crate::web::request::problem::Problem;
use axum::body::Bytes;
use axum::extract::Path;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse as _, Response};
use pigweight_media::Video;
use pigweight_media::hls::Segments;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Pieces of a file do not change: a changed file gets another id.
const CACHE_CONTROL: HeaderValue = HeaderValue::from_static("private, max-age=3600");

/// Of all pieces that are on their way: a minute of 1080p for each of ten viewers.
const MOST_BYTES_ON_THEIR_WAY: usize = 512 << 20;

/// The video as an HLS media playlist (RFC 8216) of its own packets, cut at keyframes; its pieces lie beside it.
#[utoipa::path(
    get, path = "/api/video_file/stream_hls/{id}",
    responses(
        (status = 200, content_type = "application/vnd.apple.mpegurl", body = String),
        (status = 404, body = Problem),
        (status = 422, description = "Unreadable, or browsers cannot play its codec", body = Problem))
)]
pub async fn playlist(app: Shared, Path(id): Path<String>) -> Result<Response, Problem> {
    let video = streamed(&app, &id).await?;
    // Relative, so that it works under any path: this playlist is named like the folder of its pieces.
    let text =
        app.pool.work(move || Segments::of(&video).map(|cut| cut.playlist(&format!("{id}/")))).await??;
    Ok(([(header::CONTENT_TYPE, "application/vnd.apple.mpegurl")], text).into_response())
}

/// A piece of the playlist: `init.mp4`, or a fragment by its number, `0.m4s`.
#[utoipa::path(
    get, path = "/api/video_file/stream_hls/{id}/{name}",
    responses(
        (status = 200, content_type = "video/mp4", body = Vec<u8>), (status = 404, body = Problem),
        (status = 422, body = Problem), (status = 503, description = "Too much is on its way already", body = Problem))
)]
pub async fn part(app: Shared, Path((id, name)): Path<(String, String)>) -> Result<Response, Problem> {
    let video = streamed(&app, &id).await?;
    let unknown =
        || Problem::not_found(format!("{name} is not in the playlist /api/video_file/stream_hls/{id}"));
    let piece = Piece::named(&name).ok_or_else(unknown)?;
    let bytes = app.pool.stream(&id, &video, move |streamer| match piece {
        Piece::Head => streamer.init(),
        Piece::Fragment(number) => streamer.fragment(number),
    });
    let bytes = bytes.await?;
    let bytes = bytes.map_err(|error| match error {
        pigweight_media::Error::OutsideVideo { .. } => unknown(),
        error => error.into(),
    })?;
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("video/mp4")),
        (header::CACHE_CONTROL, CACHE_CONTROL),
    ];
    Ok((headers, app.pieces.send(bytes)?).into_response())
}

/// Pieces that are made and not yet taken: readers may be slow, and memory has an end.
#[derive(Clone, Default)]
pub struct Pieces(Arc<AtomicUsize>);

/// One of them.
struct OnItsWay {
    bytes: Vec<u8>,
    all: Pieces,
}

impl Pieces {
    /// A piece that is counted until its last byte has been taken.
    ///
    /// # Errors
    /// Where readers have too many of them already; players ask again.
    fn send(&self, bytes: Vec<u8>) -> Result<Bytes, Problem> {
        let before = self.0.fetch_add(bytes.len(), Ordering::Relaxed);
        let on_its_way = OnItsWay { bytes, all: self.clone() };
        // One always goes, however large it is.
        if before > 0 && before + on_its_way.bytes.len() > MOST_BYTES_ON_THEIR_WAY {
            return Err(Problem::unavailable("too many viewers read too slowly at once; ask again soon"));
        }
        Ok(Bytes::from_owner(on_its_way))
    }

    /// Bytes of them.
    pub fn bytes(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

impl AsRef<[u8]> for OnItsWay {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for OnItsWay {
    fn drop(&mut self) {
        self.all.0.fetch_sub(self.bytes.len(), Ordering::Relaxed);
    }
}

/// The video, if its file is still the one that was indexed.
async fn streamed(app: &Shared, id: &str) -> Result<Video, Problem> {
    let record = present_video(app, id).await?;
    unchanged(app, &record).await?;
    app.pool.video(&record).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_slow_readers_hold_has_a_bound_and_is_given_back() {
        let pieces = Pieces::default();
        let large = vec![0; MOST_BYTES_ON_THEIR_WAY / 2];
        let held: Vec<Bytes> = (0..2).map(|_| pieces.send(large.clone()).expect("there is room")).collect();
        assert!(pieces.send(vec![0]).is_err());
        assert_eq!(pieces.bytes(), MOST_BYTES_ON_THEIR_WAY, "what was refused is not counted");
        // A part of it keeps the whole.
        let part = held[0].slice(5..6);
        drop(held);
        assert_eq!(pieces.bytes(), large.len());
        drop(part);
        assert_eq!(pieces.bytes(), 0);
        assert!(pieces.send(vec![0; MOST_BYTES_ON_THEIR_WAY + 1]).is_ok(), "one always goes");
    }
}
