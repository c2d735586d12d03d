//! The only gate: determines a request's caller, and gives callers access to videos and jobs.

use crate::web::api::types::is_gone;
use crate::web::app::App;
use crate::web::auth::caller::Caller;
use crate::web::request::problem::Problem;
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use pigweight_store::{CameraRecord, JobRecord, LineRecord, LineScope, RunRecord, SourceRecord, VideoRecord};
use std::sync::Arc;

impl FromRequestParts<Arc<App>> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(request: &mut Parts, app: &Arc<App>) -> Result<Self, Problem> {
        let caller = app.authenticator.authenticate(request)?;
        // Before arguments are parsed: a caller without permission learns nothing about them.
        if request.method.is_safe() {
            caller.view()?;
        } else {
            caller.operate()?;
        }
        Ok(caller)
    }
}

impl Caller {
    /// A video that may be served: registered, and its file is in one of the folders now.
    ///
    /// # Errors
    /// 404 if there is no such video, or its file is gone.
    pub async fn video(&self, app: &App, id: &str) -> Result<VideoRecord, Problem> {
        let video = self.registered_video(app, id).await?;
        if video.is_present { Ok(video) } else { Err(is_gone(&video)) }
    }

    /// A recording whose results may be seen and drawn upon: a video that may be served, or what a camera sends.
    ///
    /// # Errors
    /// 404 if there is no such video, or its file is gone.
    pub async fn recording(&self, app: &App, id: &str) -> Result<VideoRecord, Problem> {
        let video = self.registered_video(app, id).await?;
        if video.is_present || video.is_of_camera { Ok(video) } else { Err(is_gone(&video)) }
    }

    /// A video whose results may be seen, whether its file exists or not.
    ///
    /// # Errors
    /// 404 if there is no such video.
    pub async fn registered_video(&self, app: &App, id: &str) -> Result<VideoRecord, Problem> {
        self.view()?;
        Ok(app.store.video(id).await?)
    }

    /// A source that may be seen.
    ///
    /// # Errors
    /// 404 if there is no such source.
    pub async fn source(&self, app: &App, id: &str) -> Result<SourceRecord, Problem> {
        self.view()?;
        Ok(app.store.source(id).await?)
    }

    /// A camera that may be seen.
    ///
    /// # Errors
    /// 404 if there is no such camera.
    pub async fn camera(&self, app: &App, id: &str) -> Result<CameraRecord, Problem> {
        self.view()?;
        Ok(app.store.camera(id).await?)
    }

    /// A recording as [`Self::recording`] gives it, by its own identifier or its camera's.
    ///
    /// # Errors
    /// 404 if there is no such video or camera, or the video's file is gone.
    pub async fn recording_or_camera(&self, app: &App, id: &str) -> Result<VideoRecord, Problem> {
        match app.store.camera(id).await {
            Ok(camera) => self.recording(app, &camera.video_id).await,
            Err(pigweight_store::Error::NotFound { .. }) => self.recording(app, id).await,
            Err(error) => Err(error.into()),
        }
    }

    /// A line of a source or a video that may be seen.
    ///
    /// # Errors
    /// 404 if there is no such line.
    pub async fn line(&self, app: &App, id: &str) -> Result<LineRecord, Problem> {
        let line = app.store.line(id).await?;
        match line.scope() {
            LineScope::Source(id) => drop(self.source(app, &id).await?),
            LineScope::Video(id) => drop(self.registered_video(app, &id).await?),
        }
        Ok(line)
    }

    /// A run of a video that may be seen.
    ///
    /// # Errors
    /// 404 if there is no such run.
    pub async fn run(&self, app: &App, id: &str) -> Result<(RunRecord, VideoRecord), Problem> {
        let run = app.store.run(id).await?;
        let video = self.registered_video(app, &run.video_id).await?;
        Ok((run, video))
    }

    /// A job of a video that may be seen.
    ///
    /// # Errors
    /// 404 if there is no such job.
    pub async fn job(&self, app: &App, id: &str) -> Result<JobRecord, Problem> {
        let job = app.store.job(id).await?;
        self.registered_video(app, &job.video_id).await?;
        Ok(job)
    }
}
