//! Recording date from a file's metadata.

use crate::libav::Input;
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::Offset;

/// Devices whose clock was never set write their epoch (1904, 1970, 2000), which is ignored: 2001-01-01.
const FIRST_BELIEVED: i64 = 978_307_200;
/// A date without a zone differs from the same moment in UTC by less.
const MOST_ZONE_SECS: i64 = 15 * 3600;

/// Seconds since 1970. What the camera wrote comes before `creation_time`, which programs set anew when they export or convert.
pub(super) fn recorded_at(input: &Input) -> Option<i64> {
    // Apple's phones; Matroska; the date of QuickTime and of RIFF.
    let original = [c"com.apple.quicktime.creationdate", c"DATE_RECORDED", c"date_recorded", c"date"];
    let original: Vec<Moment> = original.iter().filter_map(|name| moment(&input.stated(name)?)).collect();
    let container = input.stated(c"creation_time").and_then(|stated| moment(&stated));
    best(&original, container)
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Moment {
    /// Seconds since 1970.
    Exact(i64),
    /// The same for the zone UTC; which zone it is isn't stated.
    WithoutZone(i64),
}

fn best(original: &[Moment], container: Option<Moment>) -> Option<i64> {
    let exact = |moment: &Moment| match moment {
        Moment::Exact(secs) => Some(*secs),
        Moment::WithoutZone(_) => None,
    };
    let secs = |moment: &Moment| match moment {
        Moment::Exact(secs) | Moment::WithoutZone(secs) => *secs,
    };
    if let Some(found) = original.iter().find_map(exact) {
        return Some(found);
    }
    match (original.first(), container) {
        // The same moment, of which one says the zone.
        (Some(original), Some(Moment::Exact(container)))
            if (secs(original) - container).abs() <= MOST_ZONE_SECS =>
        {
            Some(container)
        }
        (original, container) => original.or(container.as_ref()).map(secs),
    }
}

/// `None` if it is no date with a time, or one of a clock that was never set.
fn moment(stated: &str) -> Option<Moment> {
    let stated = stated.trim();
    // 2026-07-11T09:44:38-0600, 2026-07-11 09:44:38+02:00, 2026-07-11T15:44:38Z
    let zoned = [
        "%Y-%m-%dT%H:%M:%S%.f%z",
        "%Y-%m-%d %H:%M:%S%.f%z",
        "%Y-%m-%dT%H:%M:%S%.f%:z",
        "%Y-%m-%d %H:%M:%S%.f%:z",
    ];
    let local = [
        "%Y-%m-%dT%H:%M:%S%.f",
        "%Y-%m-%d %H:%M:%S%.f",
        "%Y:%m:%d %H:%M:%S",
        "%Y/%m/%d %H:%M:%S",
        "%a %b %d %H:%M:%S %Y",
        "%Y%m%d%H%M%S",
    ];
    let exact = stated
        .parse::<Timestamp>()
        .ok()
        .or_else(|| zoned.iter().find_map(|format| Timestamp::strptime(format, stated).ok()))
        .map(|time| Moment::Exact(time.as_second()));
    let found = exact.or_else(|| {
        let civil = local.iter().find_map(|format| DateTime::strptime(format, stated).ok())?;
        Some(Moment::WithoutZone(Offset::UTC.to_timestamp(civil).ok()?.as_second()))
    });
    found.filter(|found| match found {
        Moment::Exact(secs) | Moment::WithoutZone(secs) => *secs >= FIRST_BELIEVED,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_read_as_cameras_write_them() {
        // 2026-03-05 06:07:08 UTC.
        let secs = 1_772_690_828;
        for stated in [
            "2026-03-05T06:07:08Z",
            "2026-03-05T06:07:08.000000Z",
            "2026-03-05T09:07:08+0300",
            "2026-03-05T09:07:08+03:00",
            "2026-03-05 00:37:08-0530",
            "2026-03-05 09:07:08+03:00",
        ] {
            assert_eq!(moment(stated), Some(Moment::Exact(secs)), "{stated}");
        }
        for stated in [
            "2026-03-05T06:07:08",
            "2026-03-05 06:07:08",
            "2026-03-05 06:07:08.123",
            "2026:03:05 06:07:08",
            "Thu Mar 05 06:07:08 2026",
            "Thu Mar  5 06:07:08 2026\n",
        ] {
            assert_eq!(moment(stated), Some(Moment::WithoutZone(secs)), "{stated}");
        }
        for stated in ["", "2026", "2026-03-05", "last Monday", "1970-01-01T00:00:05Z", "1904-01-01 00:00:00"]
        {
            assert_eq!(moment(stated), None, "{stated}");
        }
    }

    #[test]
    fn the_cameras_own_date_comes_first() {
        use Moment::{Exact, WithoutZone};
        let exported = Some(Exact(90 * 86_400));
        let cases = [
            (&[Exact(5)][..], exported, Some(5)),
            (&[WithoutZone(7), Exact(5)], exported, Some(5)),
            (&[WithoutZone(7)], exported, Some(7)),
            (&[WithoutZone(90 * 86_400 + 3 * 3600)], exported, Some(90 * 86_400)),
            (&[], exported, Some(90 * 86_400)),
            (&[WithoutZone(7)], None, Some(7)),
            (&[], Some(WithoutZone(7)), Some(7)),
            (&[], None, None),
        ];
        for (original, container, expected) in cases {
            assert_eq!(best(original, container), expected, "{original:?} {container:?}");
        }
    }
}
