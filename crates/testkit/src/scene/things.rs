//! What is on the picture and is no pig: balls and buckets on the floor, people over everything.

use super::Place;
use super::body::Part;
use super::canvas::{Canvas, Color};
use super::light::Light;
use crate::random::Random;

#[derive(Clone, Copy, Debug)]
enum Kind {
    Ball,
    Bucket,
    /// A board to drive pigs with.
    Board,
    Person,
}

/// One of them, where it stands.
#[derive(Clone, Copy, Debug)]
pub(super) struct Thing {
    kind: Kind,
    x: f32,
    y: f32,
    heading: f32,
    /// Half its longest side, px.
    reach_px: f32,
    color: Color,
    /// Hair or a cap.
    top_color: Color,
}

impl Thing {
    /// `body_px` is the length of a usual pig, a metre or so.
    pub(super) fn new(random: &mut Random, place: &Place, height: f32, body_px: f32) -> Self {
        let kind = match random.unit() {
            0.0..0.35 => Kind::Ball,
            0.35..0.55 => Kind::Bucket,
            0.55..0.70 => Kind::Board,
            _ => Kind::Person,
        };
        let reach = match kind {
            Kind::Ball => random.between(0.10, 0.24),
            Kind::Bucket => random.between(0.14, 0.26),
            Kind::Board => random.between(0.30, 0.60),
            Kind::Person => random.between(0.24, 0.32),
        };
        let bright = |random: &mut Random| -> Color {
            let hues: [Color; 7] = [
                [232.0, 196.0, 40.0],
                [206.0, 60.0, 44.0],
                [52.0, 96.0, 178.0],
                [70.0, 150.0, 76.0],
                [224.0, 224.0, 218.0],
                [60.0, 62.0, 66.0],
                [222.0, 150.0, 140.0],
            ];
            let shade = random.between(0.75, 1.1);
            hues[random.below(hues.len())].map(|sample| sample * shade)
        };
        Self {
            kind,
            x: random.between(place.left.max(0.0), place.right.min(place.width)),
            y: random.between(place.top.max(0.0), place.bottom.min(height)),
            heading: random.between(-3.1, 3.1),
            reach_px: reach * body_px,
            color: bright(random),
            top_color: bright(random),
        }
    }

    /// Whether it stands higher than pigs do.
    pub(super) fn is_above(&self) -> bool {
        matches!(self.kind, Kind::Person)
    }

    pub(super) fn paint(&self, canvas: &mut Canvas, light: &Light) {
        let ellipse =
            |u: f32, v: f32, half_length: f32, half_breadth: f32| Part { u, v, half_length, half_breadth };
        match self.kind {
            Kind::Ball => {
                self.lay(canvas, light, ellipse(0.0, 0.0, 1.0, 1.0), self.color, 0.45);
                self.lay(canvas, light, ellipse(0.3, 0.3, 0.22, 0.16), [250.0; 3], 0.0);
            }
            Kind::Bucket => {
                self.lay(canvas, light, ellipse(0.0, 0.0, 1.0, 1.0), self.color, 0.1);
                self.lay(
                    canvas,
                    light,
                    ellipse(0.0, 0.0, 0.85, 0.85),
                    self.color.map(|sample| sample * 0.4),
                    0.3,
                );
            }
            Kind::Board => self.lay(canvas, light, ellipse(0.0, 0.0, 1.0, 0.09), self.color, 0.0),
            Kind::Person => {
                for side in [-1.0, 1.0] {
                    let boot = ellipse(0.25 * side, 0.38 * side, 0.42, 0.17);
                    self.lay(canvas, light, boot, [48.0, 52.0, 46.0], 0.2);
                    self.lay(canvas, light, ellipse(0.42, 0.75 * side, 0.5, 0.19), self.color, 0.35);
                }
                self.lay(canvas, light, ellipse(0.0, 0.0, 0.46, 1.0), self.color, 0.35);
                self.lay(canvas, light, ellipse(0.12, 0.0, 0.40, 0.36), self.top_color, 0.4);
            }
        }
    }

    /// An ellipse, in parts of the reach, darker towards its edge by `round`.
    fn lay(&self, canvas: &mut Canvas, light: &Light, part: Part, color: Color, round: f32) {
        let (sin, cos) = self.heading.sin_cos();
        let reach = 1.6 * self.reach_px;
        let (columns, rows) = canvas.pixels([self.x - reach, self.y - reach, self.x + reach, self.y + reach]);
        for row in rows {
            for column in columns.clone() {
                let x = (column as f32 + 0.5 - self.x) / self.reach_px;
                let y = (row as f32 + 0.5 - self.y) / self.reach_px;
                let distance = part.distance(cos * x + sin * y, cos * y - sin * x);
                let cover = (0.5 - distance * self.reach_px).clamp(0.0, 1.0);
                if cover > 0.0 {
                    let depth = (-distance / part.half_breadth).clamp(0.0, 1.0);
                    let level = light.at(row * canvas.width + column) * (1.0 - round * (1.0 - depth).powi(2));
                    let place = canvas.place(column, row);
                    canvas.cover(place, color.map(|sample| (sample * level).min(255.0)), cover);
                }
            }
        }
    }
}
