//! Bodies as smooth unions of simple parts, given by signed distance functions.

use super::vector::{Vec3, vec3};

/// The shape of a part.
#[derive(Clone, Copy, Debug)]
enum Form {
    /// A capsule with a radius that changes along it, optionally flattened along a direction.
    Cone { axis: Vec3, inverse_square_length: f32, radius_change_m: f32, flat_along: Vec3, flatness: f32 },
    /// A block rotated about z, with rounded edges.
    Block { half: Vec3, cosine: f32, sine: f32 },
}

/// One part of a body.
#[derive(Clone, Copy, Debug)]
pub(super) struct Part {
    form: Form,
    start: Vec3,
    radius_m: f32,
    /// The distance over which it blends into the parts before it; 0: no blending.
    blend_m: f32,
    /// The heights at which it is cut off below and above.
    lowest_m: f32,
    highest_m: f32,
    /// The share of bare skin: snout, ears, legs.
    pub nakedness: f32,
    pub center: Vec3,
    pub bound_m: f32,
}

/// A height beyond every part, for parts that are not cut off.
const UNCUT_M: f32 = 9.0;

impl Part {
    /// A capsule from `start` to `end` whose radius goes from the first to the second.
    pub fn cone(start: Vec3, end: Vec3, radii_m: (f32, f32)) -> Self {
        let axis = end - start;
        let form = Form::Cone {
            axis,
            inverse_square_length: 1.0 / axis.dot(axis).max(1e-8),
            radius_change_m: radii_m.1 - radii_m.0,
            flat_along: Vec3::default(),
            flatness: 1.0,
        };
        Self {
            form,
            start,
            radius_m: radii_m.0,
            blend_m: 0.0,
            lowest_m: -UNCUT_M,
            highest_m: UNCUT_M,
            nakedness: 0.0,
            center: (start + end) * 0.5,
            bound_m: axis.length() * 0.5 + radii_m.0.max(radii_m.1),
        }
    }

    /// A block about `center`, `half` of its sizes along its own axes, turned by `yaw`.
    pub fn block(center: Vec3, half: Vec3, yaw: f32, rounding_m: f32) -> Self {
        let form = Form::Block { half: half - Vec3::splat(rounding_m), cosine: yaw.cos(), sine: yaw.sin() };
        Self {
            form,
            center,
            bound_m: half.length() + rounding_m,
            ..Self::cone(center, center, (rounding_m, rounding_m))
        }
    }

    /// Moved by `to`, with directions rotated by `yaw`.
    pub fn moved(mut self, to: impl Fn(Vec3) -> Vec3, yaw: f32) -> Self {
        if let Form::Cone { axis, flat_along, radius_change_m, flatness, .. } = self.form {
            let radii_m = (self.radius_m, self.radius_m + radius_change_m);
            let there = Self::cone(to(self.start), to(self.start + axis), radii_m);
            let turned = flat_along.turned(yaw.cos(), yaw.sin());
            return there.blended(self.blend_m).naked(self.nakedness).flattened(turned, flatness);
        }
        self.start = to(self.start);
        self.center = to(self.center);
        self
    }

    pub fn blended(self, blend_m: f32) -> Self {
        Self { blend_m, ..self }
    }

    pub fn naked(self, nakedness: f32) -> Self {
        Self { nakedness, ..self }
    }

    /// Flattened along a direction.
    pub fn flattened(mut self, along: Vec3, by: f32) -> Self {
        if let Form::Cone { flat_along, flatness, .. } = &mut self.form {
            (*flat_along, *flatness) = (along, by);
        }
        self
    }

    /// Cut off below and above these heights.
    pub fn cut(self, lowest_m: f32, highest_m: f32) -> Self {
        Self { lowest_m, highest_m, ..self }
    }

    /// The signed distance of a point.
    #[inline]
    pub fn distance(&self, at: Vec3) -> f32 {
        let mut offset = at - self.start;
        let mut distance = match self.form {
            Form::Cone { axis, inverse_square_length, radius_change_m, flat_along, flatness } => {
                let is_flat = flatness > 1.0;
                if is_flat {
                    offset = offset + flat_along * (offset.dot(flat_along) * (flatness - 1.0));
                }
                let along = (offset.dot(axis) * inverse_square_length).clamp(0.0, 1.0);
                let distance = (offset - axis * along).length() - self.radius_m - radius_change_m * along;
                // Scaled space overestimates distances.
                if is_flat { distance * 0.6 } else { distance }
            }
            Form::Block { half, cosine, sine } => {
                let local = offset.turned(cosine, -sine);
                let beyond = vec3(local.x.abs(), local.y.abs(), local.z.abs()) - half;
                let outside = vec3(beyond.x.max(0.0), beyond.y.max(0.0), beyond.z.max(0.0)).length();
                outside + beyond.x.max(beyond.y).max(beyond.z).min(0.0) - self.radius_m
            }
        };
        if self.highest_m < UNCUT_M {
            distance = distance.max(at.z - self.highest_m).max(self.lowest_m - at.z);
        }
        distance
    }

    /// The bounding sphere, with the region where it blends into others.
    pub fn reach_m(&self) -> f32 {
        self.bound_m + 0.6 * self.blend_m
    }

    /// An upper bound of its height.
    pub fn top_m(&self) -> f32 {
        (self.center.z + self.bound_m).min(self.highest_m)
    }

    /// The lowest and highest corner of its bounding box.
    pub fn extent(&self) -> (Vec3, Vec3) {
        match self.form {
            Form::Cone { axis, radius_change_m, .. } => {
                let (end, radius) = (self.start + axis, self.radius_m + radius_change_m.max(0.0));
                let low = vec3(self.start.x.min(end.x), self.start.y.min(end.y), self.start.z.min(end.z));
                let high = vec3(self.start.x.max(end.x), self.start.y.max(end.y), self.start.z.max(end.z));
                (low - Vec3::splat(radius), high + Vec3::splat(radius))
            }
            Form::Block { .. } => {
                (self.center - Vec3::splat(self.bound_m), self.center + Vec3::splat(self.bound_m))
            }
        }
    }
}

/// The signed distance of the union. Each part blends into those before it.
#[inline]
pub(super) fn distance(parts: &[Part], at: Vec3) -> f32 {
    let mut nearest = UNCUT_M;
    for part in parts {
        let distance = part.distance(at);
        nearest = if part.blend_m > 0.0 {
            let overlap = (part.blend_m - (nearest - distance).abs()).max(0.0);
            nearest.min(distance) - overlap * overlap * 0.25 / part.blend_m
        } else {
            nearest.min(distance)
        };
    }
    nearest
}

/// The share of bare skin at a point of the surface.
pub(super) fn nakedness(parts: &[Part], at: Vec3) -> f32 {
    let (mut sum, mut total) = (0.0, 1e-6);
    for part in parts {
        let weight = (-part.distance(at).max(0.0) * 60.0).exp();
        sum += weight * part.nakedness;
        total += weight;
    }
    sum / total
}

/// The bounding sphere of all parts.
pub(super) fn bounding_sphere(parts: &[Part]) -> (Vec3, f32) {
    let center =
        parts.iter().fold(Vec3::default(), |sum, part| sum + part.center) * (1.0 / parts.len().max(1) as f32);
    let radius = parts.iter().map(|part| (part.center - center).length() + part.reach_m());
    (center, radius.fold(0.0, f32::max))
}
