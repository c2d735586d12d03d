//! The picture that proves a crossing: the animal on the frame on which it was first beyond the line.

use crate::web::app::Shared;
use crate::web::auth::caller::Caller;
use crate::web::media::frames::{FramePlace, Jpeg, JpegOfFrame, header_value, jpeg_answer, name_frame};
use crate::web::media::preview::FOREVER;
use crate::web::request::problem::Problem;
use axum::extract::Path;
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::Response;
use pigweight_core::geometry::Rect;
use pigweight_core::time::Pts;
use pigweight_core::track::Origin;
use pigweight_media::overlay::OverlayBox;

const QUALITY: u8 = 85;
/// The picture's side over the animal's longer side: enough of what is around it to see where it is.
const AROUND: f32 = 1.6;
/// px.
const LEAST_SIDE: f32 = 96.0;
/// Seconds of a frame are rounded when they are stored: the frame is on the screen a little later for sure.
const LITTLE_LATER_SECS: f64 = 1e-6;

/// The animal of a crossing, cut out of the frame on which it was first beyond the line, with its box. If its box isn't known any more, the
/// whole frame.
#[utoipa::path(
    get, path = "/api/videos/{id}/crossings/{crossing}/picture",
    responses(
        (status = 200, content_type = "image/jpeg", body = Vec<u8>, headers(
            ("X-Frame-Time" = f64, description = "Seconds of the frame"),
            ("X-Frame-Pts" = i64, description = "Its pts"),
            ("X-Frame-Damaged" = bool, description = "Whether parts of it were guessed, because its bytes are damaged"))),
        (status = 404, body = Problem), (status = 422, body = Problem))
)]
pub async fn picture(
    caller: Caller,
    app: Shared,
    Path((id, crossing)): Path<(String, String)>,
) -> Result<Response, Problem> {
    let record = caller.recording(&app, &id).await?;
    let crossing = app.store.crossing(&crossing).await?;
    if app.store.run(&crossing.run_id).await?.video_id != record.id {
        return Err(Problem::not_found(format!("this video has no crossing {}", crossing.id)));
    }
    let secs = crossing.secs + LITTLE_LATER_SECS;
    let settled = app.store.settled_at(&crossing.run_id, secs).await?;
    let animal = settled
        .filter(|frame| frame.pts == Pts(crossing.pts))
        .and_then(|frame| frame.boxes.into_iter().find(|found| found.track.0 == crossing.track));
    let place = FramePlace::find(&app, &record, secs).await?;
    let (part, boxes) = match animal {
        None => (None, Vec::new()),
        Some(animal) => {
            let is_measured = animal.origin == Origin::Measured;
            (Some(around(animal.rect)), vec![OverlayBox { rect: animal.rect, is_measured }])
        }
    };
    let jpeg = Jpeg { pts: place.pts, width: 0, quality: QUALITY, boxes, part };
    let JpegOfFrame { pts: shown, is_damaged, bytes } =
        app.pool.jpeg(&place.opened_id, &place.video, jpeg).await?;
    let mut headers = HeaderMap::new();
    let (secs, told) = place.told(shown);
    name_frame(&mut headers, secs, told);
    headers.insert("x-frame-damaged", header_value(&is_damaged.to_string()));
    // A crossing and its frame never change.
    let is_exact = shown == place.pts && !is_damaged;
    let keep = if is_exact { FOREVER } else { HeaderValue::from_static("no-store") };
    headers.insert(header::CACHE_CONTROL, keep);
    Ok(jpeg_answer(headers, bytes))
}

/// A square around an animal, px. It may reach beyond the picture.
fn around(animal: Rect) -> Rect {
    let side = (animal.width.max(animal.height) * AROUND).max(LEAST_SIDE);
    Rect::from_center(animal.center(), side, side)
}
