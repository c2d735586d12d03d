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
    /// Of a query about a camera that was added then and whose timeline ends at `end_secs` so far.
    ///
    /// # Errors
    /// 400 if there is no such stretch.
    pub fn of(query: &StretchQuery, created_at: i64, end_secs: f64, most_secs: f64) -> Result<Self, Problem> {
        let now_secs = (jiff::Timestamp::now().as_millisecond() - created_at * 1000) as f64 / 1000.0;
        // The camera's clock may be a little ahead of this machine's, and this machine's may have been set back.
        let to_secs = query.to.unwrap_or(now_secs.max(end_secs) + 10.0);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_an_end_a_stretch_reaches_to_the_end_of_the_timeline_even_if_the_clock_was_set_back() {
        let now = jiff::Timestamp::now().as_second();
        let all = StretchQuery { from: None, to: None };
        let usual = Stretch::of(&all, now - 5000, 4000.0, 1e6).ok().unwrap();
        assert!(usual.to_secs > 5000.0 && (usual.to_secs - usual.from_secs - 3600.0).abs() < 1e-6);
        let set_back = Stretch::of(&all, now + 7200, 5000.0, 1e6).ok().unwrap();
        assert!(set_back.to_secs > 5000.0, "{set_back:?}");
        for (from, to) in [(5.0, 5.0), (f64::NAN, 5.0), (0.0, f64::INFINITY), (-1e308, 1e308), (0.0, 2e6)] {
            assert!(Stretch::of(&StretchQuery { from: Some(from), to: Some(to) }, now, 0.0, 1e6).is_err());
        }
    }
}
