//! Admission of new uploads while many are unfinished.
//!
//! Announcing costs nothing, so places must not be had for nothing. When there is none, an upload that gets nowhere gives its own up: one of the same
//! client, if that has its share. An upload that has come far keeps its place, also while nothing comes.

use std::time::Duration;

/// Unfinished ones at once.
const MOST_UNFINISHED: usize = 100;
/// Of one client. A proxy in front of the server is one client, so a client gets half.
const MOST_OF_CLIENT: usize = MOST_UNFINISHED / 2;
/// After this time an upload must have been as fast as below.
const PATIENCE: Duration = Duration::from_secs(600);
/// A phone at the edge of a network is faster.
const LEAST_BYTES_PER_SEC: f64 = 1000.0;
/// Who has sent so much means it.
const KEPT_FROM_BYTES: u64 = 64 << 20;

/// An upload and its progress.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Upload {
    pub id: String,
    /// Bytes received.
    pub offset: u64,
    /// Bytes of the complete file.
    pub length: u64,
}

impl Upload {
    /// Whether it is complete.
    pub fn is_whole(&self) -> bool {
        self.offset >= self.length
    }
}

/// An upload that isn't complete. Times are of a clock that nobody sets.
#[derive(Clone, Debug)]
pub struct UnfinishedUpload {
    pub upload: Upload,
    /// The file's name.
    pub name: String,
    /// Whose it is, where that was noted.
    pub client: Option<String>,
    /// Since it was announced, or the server started.
    pub age: Duration,
    /// Bytes that came in that time.
    pub came: u64,
    /// Since the last byte, or the server started.
    pub idle: Duration,
}

impl UnfinishedUpload {
    fn gets_nowhere(&self) -> bool {
        let is_slow = (self.came as f64) < self.age.as_secs_f64() * LEAST_BYTES_PER_SEC;
        let offset = self.upload.offset;
        offset == 0 || (self.age >= PATIENCE && is_slow && offset < KEPT_FROM_BYTES)
    }

    /// Disk space that others can't have. As much again as has come: an announcement alone reserves nothing.
    pub fn reserved_bytes(&self) -> u64 {
        let missing = self.upload.length.saturating_sub(self.upload.offset);
        if self.idle >= PATIENCE { 0 } else { missing.min(self.upload.offset) }
    }
}

/// Whether a client may announce another upload.
#[derive(Debug, PartialEq, Eq)]
pub enum Admission<'a> {
    Free,
    /// If this one is given up.
    InsteadOf(&'a str),
    Full,
}

impl<'a> Admission<'a> {
    /// Of a client, given what is unfinished.
    pub fn of(client: &str, unfinished: &'a [UnfinishedUpload]) -> Self {
        let is_own = |other: &&UnfinishedUpload| other.client.as_deref() == Some(client);
        let has_its_share = unfinished.iter().filter(is_own).count() >= MOST_OF_CLIENT;
        if !has_its_share && unfinished.len() < MOST_UNFINISHED {
            return Self::Free;
        }
        let concerned = unfinished.iter().filter(|other| !has_its_share || is_own(other));
        let hopeless = concerned.filter(|other| other.gets_nowhere());
        let least = hopeless.min_by_key(|other| (other.upload.offset, std::cmp::Reverse(other.idle)));
        least.map_or(Self::Full, |least| Self::InsteadOf(&least.upload.id))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn upload(number: usize, client: &str, offset: u64, age_secs: u64) -> UnfinishedUpload {
        let age = Duration::from_secs(age_secs);
        UnfinishedUpload {
            upload: Upload { id: number.to_string(), offset, length: 1 << 30 },
            name: "pen.mp4".into(),
            client: Some(client.to_owned()),
            age,
            came: offset,
            idle: age,
        }
    }

    fn uploads(count: usize, client: &str, offset: u64, age_secs: u64) -> Vec<UnfinishedUpload> {
        (0..count)
            .map(|number| upload(number, client, offset, age_secs + count as u64 - number as u64))
            .collect()
    }

    #[test]
    fn announcements_without_a_byte_give_way_the_oldest_first() {
        let announced = uploads(49, "hog", 0, 1);
        assert_eq!(Admission::of("hog", &announced), Admission::Free);
        let announced = uploads(50, "hog", 0, 1);
        assert_eq!(Admission::of("hog", &announced), Admission::InsteadOf("0"));
        assert_eq!(Admission::of("other", &announced), Admission::Free);
    }

    #[test]
    fn others_are_not_concerned_by_one_that_has_its_share() {
        let mut all = uploads(50, "hog", 5_000_000, 60);
        all.extend(uploads(20, "other", 0, 60));
        assert_eq!(Admission::of("hog", &all), Admission::Full, "all of its own make progress");
        assert_eq!(Admission::of("third", &all), Admission::Free);
    }

    #[test]
    fn one_byte_a_minute_is_no_progress() {
        let mut all = uploads(50, "one", 12, 700);
        all.extend(uploads(50, "two", 12, 700));
        assert!(matches!(Admission::of("three", &all), Admission::InsteadOf(_)));
        assert_eq!(Admission::of("three", &uploads(100, "one", 12, 400)), Admission::Full, "too soon to say");
    }

    #[test]
    fn who_has_sent_much_keeps_the_place_while_the_phone_is_away() {
        let all = uploads(100, "one", 100 << 20, 8 * 3600);
        assert_eq!(Admission::of("two", &all), Admission::Full);
    }

    #[test]
    fn an_announcement_reserves_nothing_and_progress_as_much_again() {
        assert_eq!(upload(1, "one", 0, 1).reserved_bytes(), 0);
        assert_eq!(upload(1, "one", 1000, 1).reserved_bytes(), 1000);
        assert_eq!(upload(1, "one", (1 << 30) - 5, 1).reserved_bytes(), 5);
        assert_eq!(upload(1, "one", 1000, 601).reserved_bytes(), 0);
    }
}
