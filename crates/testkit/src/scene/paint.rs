//! Painting a pig: coat, shading, ears, snout, tail, feet and a soft shadow.

use super::body::{BLEND, Body, EARS, Part, Pose, SNOUT, TORSO};
use super::canvas::{Canvas, Color};
use super::light::Light;
use super::noise::clouds;
use crate::random::Random;
use pigweight_core::geometry::Rect;

/// The colour of an animal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Coat {
    /// As most.
    Pink,
    /// Pink with black patches.
    Spotted,
    /// As Durocs.
    Brown,
    /// As Berkshires.
    Black,
}

impl Coat {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Pink, Self::Spotted, Self::Brown, Self::Black];

    fn color(self) -> Color {
        match self {
            Self::Pink | Self::Spotted => [226.0, 174.0, 162.0],
            Self::Brown => [148.0, 98.0, 70.0],
            Self::Black => [66.0, 60.0, 60.0],
        }
    }
}

/// An animal's appearance, for life.
#[derive(Clone, Copy, Debug)]
pub(super) struct Skin {
    coat: Coat,
    color: Color,
    seed: u64,
}

impl Skin {
    pub(super) fn new(coat: Coat, random: &mut Random) -> Self {
        let (shade, warmth) = (random.between(0.92, 1.06), random.between(-6.0, 6.0));
        let [red, green, blue] = coat.color();
        Self {
            coat,
            color: [red * shade, green * shade - warmth, blue * shade - warmth],
            seed: random.bits(),
        }
    }

    fn at(self, u: f32, v: f32) -> Color {
        let patch = if self.coat == Coat::Spotted { clouds(self.seed, u * 6.0, v * 6.0) } else { 0.0 };
        let black = ((patch - 0.58) * 14.0).clamp(0.0, 1.0);
        let dirt = ((clouds(self.seed ^ 1, u * 4.0, v * 4.0) - 0.62) * 1.6).max(0.0);
        let bristle = 0.97 + 0.06 * clouds(self.seed ^ 2, u * 55.0, v * 90.0);
        let [red, green, blue] = self.color;
        let coat = |clean: f32, dark: f32, soiled: f32| {
            let clean = clean + (dark - clean) * black;
            (clean + (soiled - clean) * dirt.min(0.6)) * bristle
        };
        [coat(red, 58.0, 112.0), coat(green, 52.0, 92.0), coat(blue, 52.0, 74.0)]
    }
}

/// Darkens the floor under and beside a body.
pub(super) fn shadow(canvas: &mut Canvas, light: &Light, pose: Pose, body: Body) {
    let (x, y) = (pose.x - light.lamp.0, pose.y - light.lamp.1);
    let away = 0.075 * body.length_px / x.hypot(y).max(1.0);
    let fallen = Pose { x: pose.x + x * away, y: pose.y + y * away, ..pose };
    let reach = 0.62 * body.length_px;
    let (columns, rows) =
        canvas.pixels([fallen.x - reach, fallen.y - reach, fallen.x + reach, fallen.y + reach]);
    let turned = pose.heading.sin_cos();
    for row in rows {
        for column in columns.clone() {
            let (u, v) = fallen.to_body(body, turned, column as f32 + 0.5, row as f32 + 0.5);
            let dark = 1.0 - (u / 0.56).powi(2) - (v / 0.30).powi(2);
            if dark > 0.0 {
                let place = canvas.place(column, row);
                canvas.cover(place, [0.0; 3], 0.55 * dark.min(0.8));
            }
        }
    }
}

/// Paints the body; nothing outside its outline but the half pixel of a smooth edge.
pub(super) fn body(canvas: &mut Canvas, light: &Light, skin: Skin, pose: Pose, body: Body) {
    let Rect { x, y, width, height } = pose.outline(body);
    let (columns, rows) = canvas.pixels([x - 1.0, y - 1.0, x + width + 1.0, y + height + 1.0]);
    let turned = pose.heading.sin_cos();
    let (sun_x, sun_y) = (light.lamp.0 - pose.x, light.lamp.1 - pose.y);
    let far = sun_x.hypot(sun_y).max(1.0);
    // The way to the lamp, as the body sees it.
    let (sin, cos) = turned;
    let sun = ((cos * sun_x + sin * sun_y) / far, (cos * sun_y - sin * sun_x) / far);
    let brush = Brush { skin, pose, length_px: body.length_px, sun };
    for row in rows {
        for column in columns.clone() {
            let (u, v) = pose.to_body(body, turned, column as f32 + 0.5, row as f32 + 0.5);
            if u.abs() > 0.55 || v.abs() > 0.3 {
                continue;
            }
            let place = canvas.place(column, row);
            let level = light.at(row * canvas.width + column);
            brush.layers(u, v, |[red, green, blue], cover| {
                canvas.cover(place, [red * level, green * level, blue * level], cover);
            });
        }
    }
}

struct Brush {
    skin: Skin,
    pose: Pose,
    length_px: f32,
    sun: (f32, f32),
}

impl Brush {
    /// Gives what covers a place of the body, lowest first.
    fn layers(&self, u: f32, v: f32, mut lay: impl FnMut(Color, f32)) {
        let cover = |distance: f32| (0.5 - distance * self.length_px).clamp(0.0, 1.0);
        let mut part = |part: Part, color: Color| {
            let cover = cover(part.distance(u, v));
            if cover > 0.0 {
                lay(color, cover);
            }
        };
        let shaded = |[red, green, blue]: Color, shade: f32| [red * shade, green * shade, blue * shade];
        let coat = self.skin.at(u, v);
        if v.abs() > 0.1 {
            for foot in self.pose.feet() {
                part(foot, shaded(coat, 0.55));
            }
        }
        if u < -0.36 {
            part(self.pose.tail(), shaded(coat, 0.8));
        }
        let torso = TORSO.iter().map(|part| part.distance(u, v)).fold(1.0, blended);
        // A barrel: bright along the back, dark at the flanks, brighter on the lamp's side.
        let height = (-torso / 0.16).clamp(0.0, 1.0);
        let flank = 1.0 - height;
        let towards_lamp = (self.sun.0 * u * 1.2 + self.sun.1 * v * 5.0) * flank;
        let shade = 0.66 + 0.42 * height.sqrt() + 0.16 * towards_lamp;
        let torso_cover = cover(torso);
        if torso_cover > 0.0 {
            lay(shaded(coat, shade), torso_cover);
        }
        if u > 0.2 {
            let mut part = |part: Part, color: Color| {
                let cover = cover(part.distance(u, v));
                if cover > 0.0 {
                    lay(color, cover);
                }
            };
            let [red, green, blue] = shaded(self.skin.color, 0.9);
            part(SNOUT, [red * 0.98, green * 0.86, blue * 0.86]);
            for side in [-1.0, 1.0] {
                part(
                    Part { u: 0.482, v: side * 0.02, half_length: 0.009, half_breadth: 0.011 },
                    [70.0, 40.0, 40.0],
                );
                part(
                    Part { u: 0.385, v: side * 0.062, half_length: 0.012, half_breadth: 0.010 },
                    [34.0, 28.0, 28.0],
                );
            }
            for ear in EARS {
                part(ear, shaded([red, green, blue], 0.8));
                let inner =
                    Part { half_length: ear.half_length * 0.6, half_breadth: ear.half_breadth * 0.6, ..ear };
                part(inner, [red * 0.95, green * 0.78, blue * 0.78]);
            }
        }
    }
}

/// The nearer of two edges, rounded where they meet (polynomial smooth minimum).
fn blended(one: f32, other: f32) -> f32 {
    let near = (BLEND - (one - other).abs()).max(0.0) / BLEND;
    one.min(other) - near * near * BLEND / 4.0
}
