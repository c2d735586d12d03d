//! Spatial index of parts for shadow rays: columns over the floor.

use super::shape::Part;
use super::vector::Vec3;

/// Distances are exact up to this one.
const MARGIN_M: f32 = 0.22;
const CELL_M: f32 = 0.14;
/// The grid reaches this far outside the pen.
const BORDER_M: f32 = 0.5;

/// The parts over each cell of the floor.
pub(super) struct Grid {
    parts: Vec<Part>,
    /// The offset of each cell in `numbers`.
    starts: Vec<u32>,
    numbers: Vec<u16>,
    columns: usize,
    rows: usize,
    /// The height of the highest part.
    pub top_m: f32,
}

impl Grid {
    pub fn new(parts: Vec<Part>, width_m: f32, depth_m: f32) -> Self {
        let count = |length: f32| ((length + 2.0 * BORDER_M) / CELL_M) as usize + 1;
        let (columns, rows) = (count(width_m), count(depth_m));
        let mut cells = vec![Vec::new(); columns * rows];
        for (number, part) in parts.iter().enumerate() {
            let (low, high) = part.extent();
            let cell = |at: f32, count: usize| (((at + BORDER_M) / CELL_M).max(0.0) as usize).min(count - 1);
            for row in cell(low.y - MARGIN_M, rows)..=cell(high.y + MARGIN_M, rows) {
                for column in cell(low.x - MARGIN_M, columns)..=cell(high.x + MARGIN_M, columns) {
                    cells[row * columns + column].push(number as u16);
                }
            }
        }
        let mut starts = vec![0];
        let mut numbers = Vec::new();
        for cell in cells {
            numbers.extend(cell);
            starts.push(numbers.len() as u32);
        }
        let top_m = parts.iter().map(Part::top_m).fold(0.0, f32::max).min(2.2);
        Self { parts, starts, numbers, columns, rows, top_m }
    }

    /// Distance to the nearest part, `MARGIN_M` at most.
    #[inline]
    pub fn nearest_m(&self, at: Vec3) -> f32 {
        let (x, y) = ((at.x + BORDER_M) / CELL_M, (at.y + BORDER_M) / CELL_M);
        if x < 0.0 || y < 0.0 || x >= self.columns as f32 || y >= self.rows as f32 {
            return MARGIN_M;
        }
        let cell = y as usize * self.columns + x as usize;
        let range = self.starts[cell] as usize..self.starts[cell + 1] as usize;
        let near = self.numbers[range].iter();
        near.fold(MARGIN_M, |nearest, &number| nearest.min(self.parts[usize::from(number)].distance(at)))
    }
}
