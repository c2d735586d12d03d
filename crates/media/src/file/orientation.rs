//! Orientation of a stored picture: the eight combinations of rotation and mirroring.

use serde::{Deserialize, Serialize};

/// A clockwise turn.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Turn {
    /// Already upright.
    #[default]
    None,
    /// 90° clockwise.
    Quarter,
    /// 180°.
    Half,
    /// 270° clockwise.
    ThreeQuarters,
}

/// What makes the stored picture look as it was seen: it is mirrored first, then turned.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Orientation {
    /// Left and right are swapped before the turn.
    pub is_mirrored: bool,
    /// Clockwise.
    pub turn: Turn,
}

impl Orientation {
    /// Of a display matrix (ISO/IEC 14496-12, 6.2.2): where a step to the right leads, then where one down leads; x to the right
    /// and y down. The nearest of the eight; none for a matrix that leaves no picture.
    pub(crate) fn of_matrix([right_x, right_y, down_x, down_y]: [i32; 4]) -> Self {
        let [a, b, c, d] = [right_x, right_y, down_x, down_y].map(i64::from);
        if a * d - b * c == 0 {
            return Self::default();
        }
        let keeps_sides = a.abs() + d.abs() >= b.abs() + c.abs();
        let (one, other) = if keeps_sides { (a > 0, d > 0) } else { (b > 0, c > 0) };
        let (is_mirrored, turn) = match (keeps_sides, one, other) {
            (true, true, true) => (false, Turn::None),
            (true, false, true) => (true, Turn::None),
            (true, false, false) => (false, Turn::Half),
            (true, true, false) => (true, Turn::Half),
            (false, true, false) => (false, Turn::Quarter),
            (false, false, false) => (true, Turn::Quarter),
            (false, false, true) => (false, Turn::ThreeQuarters),
            (false, true, true) => (true, Turn::ThreeQuarters),
        };
        Self { is_mirrored, turn }
    }

    /// Of EXIF's tag 274 (EXIF 2.3, 4.6.4).
    pub(crate) fn of_exif(value: &str) -> Option<Self> {
        let (is_mirrored, turn) = match value.trim() {
            "1" => (false, Turn::None),
            "2" => (true, Turn::None),
            "3" => (false, Turn::Half),
            "4" => (true, Turn::Half),
            "5" => (true, Turn::ThreeQuarters),
            "6" => (false, Turn::Quarter),
            "7" => (true, Turn::Quarter),
            "8" => (false, Turn::ThreeQuarters),
            _ => return None,
        };
        Some(Self { is_mirrored, turn })
    }

    /// Whether width and height are swapped.
    pub fn swaps_sides(self) -> bool {
        matches!(self.turn, Turn::Quarter | Turn::ThreeQuarters)
    }

    /// The stored row and column of what is seen in this row and column of a picture that is stored with `columns` and `rows`.
    pub(crate) fn stored_place(
        self,
        (row, column): (usize, usize),
        (columns, rows): (usize, usize),
    ) -> (usize, usize) {
        let (row, column) = match self.turn {
            Turn::None => (row, column),
            Turn::Quarter => (rows - 1 - column, row),
            Turn::Half => (rows - 1 - row, columns - 1 - column),
            Turn::ThreeQuarters => (column, columns - 1 - row),
        };
        (row, if self.is_mirrored { columns - 1 - column } else { column })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As players place the corners of a picture that is stored as `1 2 3 / 4 5 6`.
    #[test]
    fn all_eight_ways_are_told_from_their_matrices_and_exif_tags() {
        const ONE: i32 = 1 << 16;
        for (matrix, exif, seen) in [
            ([ONE, 0, 0, ONE], "1", [[1, 2, 3].as_slice(), &[4, 5, 6]].as_slice()),
            ([-ONE, 0, 0, ONE], "2", &[&[3, 2, 1], &[6, 5, 4]]),
            ([-ONE, 0, 0, -ONE], " 3", &[&[6, 5, 4], &[3, 2, 1]]),
            ([ONE, 0, 0, -ONE], "4", &[&[4, 5, 6], &[1, 2, 3]]),
            ([0, ONE, ONE, 0], "5", &[&[1, 4], &[2, 5], &[3, 6]]),
            ([0, ONE, -ONE, 0], "6", &[&[4, 1], &[5, 2], &[6, 3]]),
            ([0, -ONE, -ONE, 0], "7 ", &[&[6, 3], &[5, 2], &[4, 1]]),
            ([0, -ONE, ONE, 0], "8", &[&[3, 6], &[2, 5], &[1, 4]]),
        ] {
            let orientation = Orientation::of_matrix(matrix);
            assert_eq!(Orientation::of_exif(exif), Some(orientation), "{matrix:?}");
            assert_eq!(orientation.swaps_sides(), seen.len() == 3, "{matrix:?}");
            for (row, line) in seen.iter().enumerate() {
                for (column, &expected) in line.iter().enumerate() {
                    let (row, column) = orientation.stored_place((row, column), (3, 2));
                    assert_eq!(row * 3 + column + 1, expected, "{matrix:?}");
                }
            }
        }
    }

    #[test]
    fn nearly_right_angles_are_right_and_nonsense_is_upright() {
        // Phones write a turn of 89.9°, some cameras matrices that also scale.
        assert_eq!(Orientation::of_matrix([100, 65_536, -65_536, 100]).turn, Turn::Quarter);
        let scaled = Orientation { is_mirrored: true, turn: Turn::None };
        assert_eq!(Orientation::of_matrix([-131_072, 0, 0, 131_072]), scaled);
        for nonsense in [[0; 4], [65_536, 0, 0, 0], [i32::MIN, i32::MIN, i32::MIN, i32::MIN]] {
            assert_eq!(Orientation::of_matrix(nonsense), Orientation::default());
        }
        assert_eq!(Orientation::of_exif("9"), None);
    }
}
