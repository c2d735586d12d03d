//! Stretches of a camera's timeline, as requests name them.

use crate::web::request::arguments::{Field, Kind, RequestArguments};
use crate::web::request::problem::Problem;
use pigweight_store::TICKS_PER_SEC;
use serde::Deserialize;
use utoipa::IntoParams;

/// Ticks of a camera's timeline.
pub fn ticks(secs: f64) -> i64 {
    (secs * TICKS_PER_SEC as f64).round() as i64
}

/// Seconds since a camera was added.
pub fn secs(ticks: i64) -> f64 {
    ticks as f64 / TICKS_PER_SEC as f64
}

#[derive(Deserialize, IntoParams)]
pub struct StretchQuery {
    /// Seconds since the camera was added; default: an hour before `to`.
    pub from: Option<f64>,
    /// Seconds since the camera was added; default: now.
    pub to: Option<f64>,
}

impl RequestArguments for StretchQuery {
    const FIELDS: &'static [Field] =
        &[Field::optional("from", Kind::Number), Field::optional("to", Kind::Number)];
}

/// A stretch of a camera's timeline.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Stretch {
    pub from_secs: f64,
    pub to_secs: f64,
}

impl Stretch {
    /// Of a query about a camera that was added then.
    ///
    /// # Errors
    /// 400 if there is no such stretch.
    pub fn of(query: &StretchQuery, created_at: i64, most_secs: f64) -> Result<Self, Problem> {
        let now_secs = (jiff::Timestamp::now().as_millisecond() - created_at * 1000) as f64 / 1000.0;
        // The camera's clock may be a little ahead of this machine's.
        let to_secs = query.to.unwrap_or(now_secs + 10.0);
        let from_secs = query.from.unwrap_or(to_secs - 3600.0);
        Self::checked(from_secs, to_secs, most_secs)
    }

    /// # Errors
    /// 400 if there is no such stretch.
    pub fn checked(from_secs: f64, to_secs: f64, most_secs: f64) -> Result<Self, Problem> {
        let is_sound = |secs: f64| secs.is_finite() && secs.abs() < 1e11;
        if !is_sound(from_secs) || !is_sound(to_secs) || from_secs >= to_secs {
            return Err(Problem::bad_request(
                "from and to are seconds since the camera was added, and from is the smaller one",
            ));
        }
        if to_secs - from_secs > most_secs {
            return Err(Problem::bad_request(format!(
                "ask for at most {most_secs} seconds at once: from {from_secs} to {}",
                from_secs + most_secs
            )));
        }
        Ok(Self { from_secs, to_secs })
    }
}
