//! Position of the camera and distortion of its lens.

use super::vector::{UP, Vec3, vec3};
use crate::random::Random;

/// A camera: position, three axes, lens.
#[derive(Clone, Copy, Debug)]
pub(super) struct Camera {
    pub position: Vec3,
    right: Vec3,
    down: Vec3,
    pub forward: Vec3,
    /// In halves of the picture's width.
    focal_length: f32,
    /// Barrel distortion at the edges, relative to a lens without distortion.
    barrel: f32,
    /// Fisheye: the angle instead of its tangent grows linearly from the centre.
    is_fisheye: bool,
    width: f32,
    height: f32,
}

impl Camera {
    pub fn looking(position: Vec3, target: Vec3, roll: f32, angle_of_view: f32, size: (u32, u32)) -> Self {
        let forward = (target - position).normalized();
        // A camera that points straight down has no "up" but the roll.
        let up = if forward.z < -0.97 { vec3(0.0, 1.0, 0.0) } else { UP };
        let right = forward.cross(up).normalized();
        let down = forward.cross(right).normalized();
        let (cosine, sine) = (roll.cos(), roll.sin());
        Self {
            position,
            right: right * cosine + down * sine,
            down: down * cosine - right * sine,
            forward,
            focal_length: 1.0 / (angle_of_view / 2.0).tan(),
            barrel: 0.0,
            is_fisheye: false,
            width: size.0 as f32,
            height: size.1 as f32,
        }
    }

    pub fn with_distortion(self, barrel: f32) -> Self {
        Self { barrel, ..self }
    }

    /// `angle_of_view` from the left to the right edge, radians.
    pub fn with_fisheye(self, angle_of_view: f32) -> Self {
        Self { is_fisheye: true, focal_length: 2.0 / angle_of_view, ..self }
    }

    /// The direction of the ray through a position in the picture, px.
    #[inline]
    pub fn ray(&self, x: f32, y: f32) -> Vec3 {
        let half = self.width / 2.0;
        let (x, y) = ((x - half) / half, (y - self.height / 2.0) / half);
        let square = x * x + y * y;
        let stretch = if self.is_fisheye {
            let radius = square.sqrt().max(1e-6);
            (radius / self.focal_length).min(1.45).tan() * self.focal_length / radius
        } else {
            1.0 + self.barrel * square
        };
        (self.right * (x * stretch) + self.down * (y * stretch) + self.forward * self.focal_length)
            .normalized()
    }

    /// Metres that a px covers at a distance.
    pub fn footprint_m(&self, distance_m: f32) -> f32 {
        distance_m * 2.0 / (self.width * self.focal_length)
    }

    /// Across the picture: for something that hangs before the lens. Parts of the picture's half width at a distance of `ahead_m`.
    pub fn before(&self, ahead_m: f32, right: f32, down: f32) -> Vec3 {
        let scale = ahead_m / self.focal_length;
        self.position + self.forward * ahead_m + self.right * (right * scale) + self.down * (down * scale)
    }

    /// A camera in the same pen, mounted slightly differently.
    pub fn varied(random: &mut Random, view: View, pen: (f32, f32), wall_m: f32, size: (u32, u32)) -> Self {
        let (width, depth) = pen;
        let longest = width.max(depth);
        let roll = 0.1 * random.normal();
        let mut place = |low: f32, high: f32| random.between(low, high);
        match view {
            View::Above => {
                let above = place(2.3, 4.0).max(0.5 * longest);
                let position = vec3(width * place(0.35, 0.65), depth * place(0.35, 0.65), above);
                let target = vec3(width * place(0.42, 0.58), depth * place(0.42, 0.58), 0.0);
                let angle = place(55.0, 95.0).to_radians();
                let turn = place(0.0, std::f32::consts::TAU);
                let camera = Self::looking(position, target, turn, angle, size);
                if place(0.0, 1.0) < 0.2 { camera.with_fisheye(place(1.6, 2.6)) } else { camera }
            }
            View::Oblique => {
                let edge = |length: f32, far: bool, out: f32| if far { length + out } else { -out };
                let (far_x, far_y) = (place(0.0, 1.0) < 0.5, place(0.0, 1.0) < 0.5);
                let (x, y) = match place(0.0, 1.0) {
                    corner if corner < 0.65 => {
                        (edge(width, far_x, place(-0.4, 0.5)), edge(depth, far_y, place(-0.4, 0.5)))
                    }
                    side if side < 0.82 => (width * place(0.2, 0.8), edge(depth, far_y, place(-0.3, 0.7))),
                    _ => (edge(width, far_x, place(-0.3, 0.7)), depth * place(0.2, 0.8)),
                };
                let position = vec3(x, y, place(2.0, 3.6).max(wall_m + 1.0));
                let target = vec3(width * place(0.33, 0.67), depth * place(0.33, 0.67), place(0.0, 0.3));
                let angle = if place(0.0, 1.0) < 0.75 {
                    framing(position, target, pen) * place(0.62, 1.05)
                } else {
                    place(58.0, 105.0).to_radians()
                };
                Self::looking(position, target, roll, angle.clamp(0.8, 1.95), size)
                    .with_distortion(if place(0.0, 1.0) < 0.6 { place(0.0, 0.25) } else { 0.0 })
            }
            View::EyeLevel => {
                let side = if place(0.0, 1.0) < 0.5 { -0.4 } else { depth + 0.4 };
                let position = vec3(width * place(0.1, 0.9), side, place(0.9, 1.8).max(wall_m + 0.15));
                let target = vec3(width * place(0.2, 0.8), depth * place(0.4, 0.6), place(0.1, 0.5));
                Self::looking(position, target, 0.4 * roll, place(45.0, 90.0).to_radians(), size)
            }
            View::Near => {
                let spot = (width * place(0.3, 0.7), depth * place(0.3, 0.7));
                let away = place(0.0, 1.3);
                let heading = Vec3::heading(place(0.0, std::f32::consts::TAU)) * away;
                let position = vec3(spot.0 + heading.x, spot.1 + heading.y, place(1.5, 2.4));
                let target = vec3(spot.0, spot.1, 0.2);
                let turn = if away < 0.35 { place(0.0, std::f32::consts::TAU) } else { roll };
                Self::looking(position, target, turn, place(45.0, 85.0).to_radians(), size)
            }
        }
    }
}

/// The angle of view that shows the whole pen.
fn framing(position: Vec3, target: Vec3, (width, depth): (f32, f32)) -> f32 {
    let forward = (target - position).normalized();
    let corners = [(0.0, 0.0), (width, 0.0), (0.0, depth), (width, depth)];
    let off =
        corners.map(|(x, y)| forward.dot((vec3(x, y, 0.2) - position).normalized()).clamp(-1.0, 1.0).acos());
    // The nearest corner of a pen under the camera lies below the picture.
    let mut sorted = off;
    sorted.sort_by(f32::total_cmp);
    2.0 * sorted[2].min(1.0)
}

/// Position and direction of a camera.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum View {
    /// Straight down, or nearly.
    Above,
    /// From a corner or a wall under the ceiling.
    Oblique,
    /// From behind the wall at eye level of a person.
    EyeLevel,
    /// So near that one animal fills much of the picture.
    Near,
}
