//! Names of a stream's segments.

use std::fmt;

/// A segment, as named in the playlist.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Piece {
    /// The initialisation segment: `init.mp4`.
    Head,
    /// By its number: `0.m4s`.
    Fragment(usize),
}

impl Piece {
    /// The segment with this name; each has only one name, so it is cached once.
    pub fn named(name: &str) -> Option<Self> {
        let piece = match name {
            "init.mp4" => Self::Head,
            name => Self::Fragment(name.strip_suffix(".m4s")?.parse().ok()?),
        };
        (piece.to_string() == name).then_some(piece)
    }
}

impl fmt::Display for Piece {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Head => to.write_str("init.mp4"),
            Self::Fragment(number) => write!(to, "{number}.m4s"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_piece_has_one_name() {
        assert_eq!(Piece::named("init.mp4"), Some(Piece::Head));
        assert_eq!(Piece::named("0.m4s"), Some(Piece::Fragment(0)));
        assert_eq!(Piece::named("12.m4s"), Some(Piece::Fragment(12)));
        let others = [
            "",
            ".m4s",
            "00.m4s",
            "+1.m4s",
            "-1.m4s",
            " 1.m4s",
            "1.M4S",
            "1.m4s/",
            "99999999999999999999999.m4s",
            "../1.m4s",
            "init.mp4 ",
        ];
        for name in others {
            assert_eq!(Piece::named(name), None, "{name}");
        }
    }
}
