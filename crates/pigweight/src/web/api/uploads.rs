//! Resumable uploads: the tus protocol 1.0.0 (<https://tus.io/protocols/resumable-upload>) with its extensions
//! creation and termination.

use crate::sources::library::{self, FoundFile};
use crate::sources::uploads::{Error, Upload, Writing};
use crate::web::app::App;
use crate::web::app::Shared;
use crate::web::auth::caller::Caller;
use crate::web::connections::client_of;
use crate::web::request::problem::Problem;
use crate::web::serve::ConnectionEnds;
use axum::Json;
use axum::body::{Body, HttpBody as _};
use axum::extract::{ConnectInfo, Path, Request};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use base64::Engine as _;
use serde::Serialize;
use std::future::poll_fn;
use std::pin::Pin;
use std::time::Duration;
use utoipa::ToSchema;

const VERSION: &str = "1.0.0";
const TUS_RESUMABLE: HeaderName = HeaderName::from_static("tus-resumable");
const UPLOAD_OFFSET: HeaderName = HeaderName::from_static("upload-offset");
const UPLOAD_LENGTH: HeaderName = HeaderName::from_static("upload-length");
/// For clients behind something that lets only GET and POST through.
const METHOD_OVERRIDE: HeaderName = HeaderName::from_static("x-http-method-override");
const VIDEO_ID: HeaderName = HeaderName::from_static("x-video-id");
const PIECE_TYPE: &str = "application/offset+octet-stream";
/// A connection is closed after this time without data; the upload continues over another.
const SILENCE: Duration = Duration::from_secs(60);

/// What every answer to such a client says, and the version that a client must speak.
pub async fn speak_tus(request: Request, next: Next) -> Response {
    let version = request.headers().get(TUS_RESUMABLE);
    // To see and to delete uploads, nobody needs to speak it.
    let needs_none = match request.method().as_str() {
        "OPTIONS" => true,
        "GET" | "DELETE" => version.is_none(),
        _ => false,
    };
    let mut response = if needs_none || version.is_some_and(|version| version == VERSION) {
        next.run(request).await
    } else {
        let detail = format!("send the header Tus-Resumable: {VERSION}; uploads follow the tus protocol");
        let mut response = Problem::new(StatusCode::PRECONDITION_FAILED, detail).into_response();
        response.headers_mut().insert("tus-version", HeaderValue::from_static(VERSION));
        response
    };
    response.headers_mut().insert(TUS_RESUMABLE, HeaderValue::from_static(VERSION));
    response
}

/// An upload that isn't complete.
#[derive(Serialize, ToSchema)]
pub struct UnfinishedUpload {
    pub id: String,
    /// The file's name.
    pub name: String,
    /// Bytes of the file.
    pub length: u64,
    /// Bytes that have come.
    pub offset: u64,
    /// Seconds since the last byte came, or since the server was started.
    pub idle_secs: u64,
}

/// The uploads that aren't complete, the oldest first.
#[utoipa::path(get, path = "/api/uploads", responses((status = 200, body = Vec<UnfinishedUpload>)))]
pub async fn list(_: Caller, app: Shared) -> Result<Json<Vec<UnfinishedUpload>>, Problem> {
    let unfinished = app.uploads.list().await?.into_iter().map(|unfinished| UnfinishedUpload {
        id: unfinished.upload.id,
        name: unfinished.name,
        length: unfinished.upload.length,
        offset: unfinished.upload.offset,
        idle_secs: unfinished.idle.as_secs(),
    });
    Ok(Json(unfinished.collect()))
}

/// What of the protocol is known here.
#[utoipa::path(options, path = "/api/uploads", responses((status = 204, description = "Tus-Version, Tus-Extension, Tus-Max-Size")))]
pub async fn options(_: Caller, app: Shared) -> Result<Response, Problem> {
    let headers = [
        ("tus-version", VERSION.to_owned()),
        ("tus-extension", "creation,termination".to_owned()),
        ("tus-max-size", app.uploads.max_bytes().to_string()),
    ];
    Ok((StatusCode::NO_CONTENT, headers).into_response())
}

/// Announces a file: `Upload-Length` is its bytes, `Upload-Metadata` its `filename` in base64. `Location` says where to send it.
#[utoipa::path(
    post, path = "/api/uploads",
    responses(
        (status = 201, description = "Location: where it goes"), (status = 400, body = Problem),
        (status = 412, body = Problem), (status = 413, description = "Too large", body = Problem),
        (status = 415, description = "No video by its name", body = Problem),
        (status = 507, description = "No room", body = Problem))
)]
pub async fn create(
    _: Caller,
    app: Shared,
    ConnectInfo(ends): ConnectInfo<ConnectionEnds>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let length = number(&headers, &UPLOAD_LENGTH)?;
    let client = client_of(ends.client).to_string();
    let upload = app.uploads.create(&file_name(&headers)?, length, &client).await?;
    // Relative to this address, so that it works under any path.
    let location = (header::LOCATION, format!("uploads/{}", upload.id));
    let progress = (UPLOAD_OFFSET, upload.offset.to_string());
    Ok((StatusCode::CREATED, [location, progress]).into_response())
}

/// How far an upload is: `Upload-Offset` bytes of `Upload-Length`.
#[utoipa::path(
    head, path = "/api/uploads/{id}",
    responses((status = 200, description = "Upload-Offset, Upload-Length"), (status = 404))
)]
pub async fn progress(_: Caller, app: Shared, Path(id): Path<String>) -> Result<Response, Problem> {
    let upload = app.uploads.find(&id).await?;
    // The last bytes came over a connection that broke before the response.
    let video_id = become_video(&app, &upload).await?;
    let headers = [
        (UPLOAD_OFFSET, upload.offset.to_string()),
        (UPLOAD_LENGTH, upload.length.to_string()),
        (header::CACHE_CONTROL, "no-store".to_owned()),
    ];
    named((StatusCode::OK, headers).into_response(), video_id)
}

/// The next bytes, from `Upload-Offset` on. With the last of them the file becomes a video: `X-Video-Id` names it.
#[utoipa::path(
    patch, path = "/api/uploads/{id}",
    request_body(content = Vec<u8>, content_type = "application/offset+octet-stream"),
    responses(
        (status = 204, description = "Upload-Offset: how far it is now"), (status = 400, body = Problem),
        (status = 404, body = Problem), (status = 409, description = "Other bytes come next", body = Problem),
        (status = 413, description = "More than was announced", body = Problem), (status = 415, body = Problem),
        (status = 423, description = "Another connection took over", body = Problem),
        (status = 507, description = "No room", body = Problem))
)]
pub async fn add(
    _: Caller,
    app: Shared,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    if headers.get(header::CONTENT_TYPE).is_none_or(|kind| kind != PIECE_TYPE) {
        let detail = format!("send the bytes with the header Content-Type: {PIECE_TYPE}");
        return Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, detail));
    }
    let offset = number(&headers, &UPLOAD_OFFSET)?;
    let here = app.uploads.find(&id).await?;
    if here.is_whole() {
        if here.offset != offset {
            return Err(Error::Offset { here: here.offset, sent: offset }.into());
        }
        // The sender of the last byte missed the response.
        let video_id = become_video(&app, &here).await?;
        let answer = (StatusCode::NO_CONTENT, [(UPLOAD_OFFSET, here.offset.to_string())]);
        return named(answer.into_response(), video_id);
    }
    let mut writing = app.uploads.resume(&id, offset).await?;
    // In a separate task: if the client disconnects, this function is dropped, which must not stop a write halfway.
    let taking = tokio::spawn(async move {
        let came = take(&mut writing, body).await;
        // Bytes received before a disconnect or an error are kept.
        let upload = writing.end().await?;
        let video_id = become_video(&app, &upload).await?;
        came.map(|()| (upload, video_id))
    });
    let (upload, video_id) = taking.await.map_err(Problem::internal)??;
    let answer = (StatusCode::NO_CONTENT, [(UPLOAD_OFFSET, upload.offset.to_string())]);
    named(answer.into_response(), video_id)
}

/// The answer with the video that the upload has become.
fn named(mut answer: Response, video_id: Option<String>) -> Result<Response, Problem> {
    if let Some(video_id) = video_id {
        answer.headers_mut().insert(VIDEO_ID, HeaderValue::from_str(&video_id).map_err(Problem::internal)?);
    }
    Ok(answer)
}

/// The same as the method that `X-HTTP-Method-Override` names (PATCH, HEAD or DELETE), for clients that can send POST only.
#[utoipa::path(
    post, path = "/api/uploads/{id}",
    request_body(content = Vec<u8>, content_type = "application/offset+octet-stream"),
    responses(
        (status = 200, description = "HEAD: Upload-Offset, Upload-Length"),
        (status = 204, description = "PATCH: Upload-Offset; DELETE: it is gone"), (status = 400, body = Problem),
        (status = 404, body = Problem), (status = 409, body = Problem), (status = 413, body = Problem),
        (status = 415, body = Problem), (status = 423, body = Problem), (status = 507, body = Problem))
)]
pub async fn override_method(
    caller: Caller,
    app: Shared,
    id: Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let method = headers.get(METHOD_OVERRIDE).and_then(|method| method.to_str().ok()).unwrap_or_default();
    match method.to_ascii_uppercase().as_str() {
        "PATCH" => add(caller, app, id, headers, body).await,
        "HEAD" => progress(caller, app, id).await,
        "DELETE" => Ok(remove(caller, app, id).await?.into_response()),
        _ => Err(Problem::bad_request(
            "send PATCH, or POST with the header X-HTTP-Method-Override: PATCH, HEAD or DELETE",
        )),
    }
}

/// Gives an upload up.
#[utoipa::path(
    delete, path = "/api/uploads/{id}", responses((status = 204), (status = 404, body = Problem))
)]
pub async fn remove(_: Caller, app: Shared, Path(id): Path<String>) -> Result<StatusCode, Problem> {
    app.uploads.delete(&id).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn take(writing: &mut Writing, mut body: Body) -> Result<(), Problem> {
    loop {
        let next = tokio::time::timeout(SILENCE, poll_fn(|context| Pin::new(&mut body).poll_frame(context)));
        let frame = tokio::select! {
            frame = next => frame,
            () = writing.is_taken_over() => return Err(Error::Superseded.into()),
        };
        match frame {
            Ok(None) => return Ok(()),
            Ok(Some(Ok(frame))) => {
                if let Some(piece) = frame.data_ref() {
                    writing.add(piece).await?;
                }
            }
            // The client is gone.
            Ok(Some(Err(_))) => {
                return Err(Problem::bad_request(
                    "the connection broke off; what came is kept, go on from there",
                ));
            }
            // A client that was asleep reads it and tries again.
            Err(_) => {
                return Err(Problem::unavailable(
                    "nothing came for a minute; what came is kept, go on from there",
                ));
            }
        }
    }
}

/// A whole upload is moved to its name, registered and told of, so that the list has it at once.
async fn become_video(app: &App, upload: &Upload) -> Result<Option<String>, Problem> {
    if !upload.is_whole() {
        return Ok(None);
    }
    let Some(path) = app.uploads.finish(&upload.id).await? else { return Ok(None) };
    let path = tokio::fs::canonicalize(&path).await.map_err(Problem::internal)?;
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    // A full queue means that the work was already woken.
    let _already_woken = app.wake.try_send(());
    let registered = async {
        let record = library::register(&app.store, &FoundFile::upload(&path)?).await?;
        app.store.add_present(&app.owner, &record.id).await?;
        anyhow::Ok(record)
    };
    match registered.await {
        Ok(record) => Ok(Some(record.id)),
        // The file is in its place: the next folder scan registers it.
        Err(error) => {
            tracing::warn!("{name}: {error}");
            Ok(None)
        }
    }
}

fn number(headers: &HeaderMap, name: &HeaderName) -> Result<u64, Problem> {
    let text = headers.get(name).and_then(|value| value.to_str().ok());
    text.and_then(|text| text.trim().parse().ok())
        .ok_or_else(|| Problem::bad_request(format!("the header {name} must be a number of bytes")))
}

/// `Upload-Metadata: filename cGVuLm1wNA==,filetype …`.
fn file_name(headers: &HeaderMap) -> Result<String, Problem> {
    let metadata = headers.get("upload-metadata").and_then(|value| value.to_str().ok()).unwrap_or_default();
    let encoded = metadata.split(',').find_map(|pair| pair.trim().strip_prefix("filename "));
    let name = encoded
        .and_then(|encoded| base64::engine::general_purpose::STANDARD.decode(encoded.trim()).ok())
        .and_then(|bytes| String::from_utf8(bytes).ok());
    name.ok_or_else(|| {
        Problem::bad_request("the header Upload-Metadata must hold the filename, in UTF-8 and base64")
    })
}
