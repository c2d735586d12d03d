//! The body of a pig in a posture: a bent spine with a barrel around it, head, ears, legs and tail.

use super::noise::smoothstep;
use super::shape::Part;
use super::vector::{Vec3, vec3};
use crate::random::Random;
use std::f32::consts::{FRAC_PI_2, PI};

/// The posture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Posture {
    Standing,
    Walking,
    OnSide,
    OnBelly,
    /// Sitting like a dog.
    Sitting,
    /// Its forelegs on the back of another pig.
    Mounting,
}

impl Posture {
    pub fn is_lying(self) -> bool {
        matches!(self, Self::OnSide | Self::OnBelly)
    }
}

/// Body proportions, similar for all pigs of a pen.
#[derive(Clone, Copy, Debug)]
pub(super) struct Build {
    /// Length from the snout to the root of the tail.
    pub length_m: f32,
    /// Thickness of the body, 1 for a usual finishing pig.
    pub girth: f32,
    /// Size of head, ears and feet, 1 for a usual finishing pig.
    pub head: f32,
    /// Ears hang down rather than stand up.
    pub has_lop_ears: bool,
}

impl Build {
    /// Proportions by weight: a piglet is short and thin with a large head, a sow is long and heavy.
    pub fn of_weight(weight_kg: f32, random: &mut Random) -> Self {
        let age = smoothstep(1.6, 5.0, weight_kg.ln());
        Self {
            length_m: 0.295 * weight_kg.cbrt() * random.between(0.94, 1.06),
            girth: (0.86 + 0.22 * age) * random.between(0.94, 1.08),
            head: 1.22 - 0.24 * age,
            has_lop_ears: random.chance(0.45),
        }
    }

    /// The proportions of another pig in the same pen.
    pub fn littermate(self, random: &mut Random) -> Self {
        Self {
            length_m: self.length_m * random.between(0.91, 1.09),
            girth: self.girth * random.between(0.93, 1.07),
            ..self
        }
    }
}

/// Positions along the spine, from the rump (0) to the snout (1), with the radius there, in lengths.
const SPINE: [(f32, f32); 10] = [
    (0.085, 0.098),
    (0.19, 0.122),
    (0.32, 0.130),
    (0.45, 0.137),
    (0.57, 0.134),
    (0.675, 0.114),
    (0.76, 0.091),
    (0.83, 0.074),
    (0.905, 0.051),
    (0.962, 0.044),
];
/// The middle of the spine, which lies at the pig's position.
const MIDDLE: f32 = 0.45;
/// Index in `SPINE` at which the head begins.
const NECK: usize = 6;

/// A pig in a posture, without a position.
#[derive(Clone, Debug)]
pub(super) struct Pose {
    pub build: Build,
    pub posture: Posture,
    /// Bend of the spine to the left and up, radians per length.
    bend: (f32, f32),
    /// Rotation of the head to the left and up, radians.
    head_turn: (f32, f32),
    /// Roll of the body, radians; above 1 it lies on its side.
    roll: f32,
    /// Pitch of the body, radians.
    pitch: f32,
    /// Stride: a number from -1 to 1 for each leg.
    legs: [f32; 8],
    tail: (f32, f32),
    ears: [(f32, f32, f32); 2],
}

/// A body in the pen.
pub(super) struct Figure {
    pub parts: Vec<Part>,
    /// Circles on the floor that others avoid: x, y, radius.
    pub footprint: Vec<(f32, f32, f32)>,
    /// The middle of the spine.
    pub middle: Vec3,
}

/// Position of a pig.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    pub x: f32,
    pub y: f32,
    pub yaw: f32,
    /// Height above the floor if it lies on others.
    pub lift_m: f32,
    pub slope: f32,
}

impl Pose {
    pub fn new(random: &mut Random, build: Build, posture: Posture) -> Self {
        let mut bend = (0.35 * random.normal(), 0.15 * random.normal());
        let mut head_turn = (0.35 * random.normal(), random.between(-0.7, 0.15));
        let mut roll = 0.04 * random.normal();
        let mut pitch = 0.0;
        match posture {
            Posture::OnSide => {
                bend = (0.4 * bend.0, random.between(-1.3, 0.3));
                head_turn = (0.3 * head_turn.0, random.between(-0.7, 0.3));
                roll = random.sign() * random.between(1.15, 1.65);
            }
            Posture::OnBelly => {
                bend = (1.6 * bend.0, -0.1);
                head_turn = (1.5 * head_turn.0, random.between(-0.5, 0.1));
                roll = 0.25 * random.normal();
            }
            Posture::Sitting => {
                pitch = random.between(0.45, 0.75);
                head_turn.1 = -pitch * random.between(0.5, 1.1);
            }
            Posture::Mounting => {
                pitch = random.between(0.35, 0.6);
                head_turn.1 = -pitch * random.between(0.3, 0.8);
            }
            // Rooting or eating.
            Posture::Standing if random.chance(0.3) => head_turn.1 = random.between(-1.1, -0.5),
            Posture::Standing | Posture::Walking => {}
        }
        let mut some = || random.between(-1.0, 1.0);
        Self {
            build,
            posture,
            bend,
            head_turn,
            roll,
            pitch,
            legs: std::array::from_fn(|_| some()),
            tail: (some(), some()),
            ears: std::array::from_fn(|_| (some(), some(), some())),
        }
    }

    /// A point of the spine with the directions along, left and up there, for a pig of length 1.
    fn spine(&self, at: f32) -> (Vec3, [Vec3; 3]) {
        const STEPS: usize = 12;
        let step = (at - MIDDLE) / STEPS as f32;
        let direction = |at: f32| {
            let yaw = self.bend.0 * (at - MIDDLE) + self.head_turn.0 * smoothstep(0.6, 0.85, at);
            let pitch = self.bend.1 * (at - MIDDLE) + self.head_turn.1 * smoothstep(0.63, 0.84, at);
            (yaw, vec3(pitch.cos() * yaw.cos(), pitch.cos() * yaw.sin(), pitch.sin()))
        };
        let mut point = Vec3::default();
        for number in 0..STEPS {
            point = point + direction(MIDDLE + step * number as f32).1 * step;
        }
        let (yaw, forward) = direction(at);
        let left = vec3(-yaw.sin(), yaw.cos(), 0.0);
        (point, [forward, left, forward.cross(left)])
    }

    /// A point beside the spine, in metres from the middle of the spine.
    fn beside(&self, along: f32, left: f32, up: f32) -> Vec3 {
        let (point, axes) = self.spine(along);
        (point + axes[1] * left + axes[2] * up) * self.build.length_m
    }

    /// Height of the middle of the spine.
    fn axis_m(&self) -> f32 {
        let Build { length_m, girth, .. } = self.build;
        match self.posture {
            Posture::OnSide => 0.118 * length_m * girth,
            Posture::OnBelly => 0.126 * length_m * girth,
            _ => (0.345 + 0.02 * girth) * length_m,
        }
    }

    /// Rolled and pitched, above the floor.
    fn settled(&self, point: Vec3) -> Vec3 {
        let (cosine, sine) = (self.roll.cos(), self.roll.sin());
        let rolled = vec3(point.x, point.y * cosine - point.z * sine, point.y * sine + point.z * cosine);
        let mut point = rolled + vec3(0.0, 0.0, self.axis_m());
        if self.pitch > 0.0 {
            let Build { length_m, girth, .. } = self.build;
            // Pitch turns about the hips, because those of a sitting pig are on the floor.
            let hips = vec3(-0.33 * length_m, 0.0, self.axis_m());
            let floor = if self.posture == Posture::Sitting { 0.118 * length_m * girth } else { hips.z };
            let offset = point - hips;
            let (cosine, sine) = (self.pitch.cos(), self.pitch.sin());
            point = vec3(
                hips.x + offset.x * cosine - offset.z * sine,
                offset.y,
                floor + offset.x * sine + offset.z * cosine,
            );
        }
        point
    }

    /// Settled on the floor: parts below it are raised to it. `droop` is the share by which parts of a lying pig sink to the floor.
    fn laid(&self, point: Vec3, radius_m: f32, droop: f32) -> Vec3 {
        let mut point = self.settled(point);
        if self.posture.is_lying() {
            point.z += (radius_m - point.z) * droop;
        }
        point.z = point.z.max(0.8 * radius_m);
        point
    }

    fn radius_m(&self, number: usize) -> f32 {
        let Build { length_m, girth, head, .. } = self.build;
        SPINE[number].1 * length_m * if number >= NECK { head } else { girth }
    }

    /// Points and radii of the settled spine.
    fn barrel(&self) -> Vec<(Vec3, f32)> {
        (0..SPINE.len())
            .map(|number| {
                let (along, radius_m) = (SPINE[number].0, self.radius_m(number));
                let sag = -0.012 * (1.0 - ((along - MIDDLE) / 0.4).powi(2)) * (self.build.girth - 0.6);
                let droop = 0.85 * smoothstep(0.62, 0.8, along);
                (self.laid(self.beside(along, 0.0, sag), radius_m, droop), radius_m)
            })
            .collect()
    }

    /// The circles that it occupies.
    pub fn footprint(&self, place: Place) -> Vec<(f32, f32, f32)> {
        self.barrel()
            .into_iter()
            .map(|(point, radius_m)| {
                let at = moved(point, place);
                (at.x, at.y, radius_m)
            })
            .collect()
    }

    /// The body at a position.
    pub fn figure(&self, place: Place) -> Figure {
        let length_m = self.build.length_m;
        let barrel = self.barrel();
        let mut parts = self.torso(&barrel);
        for side in [-1.0, 1.0] {
            self.thighs(side, &mut parts);
            self.legs(side, &mut parts);
            self.ear(side, &barrel, &mut parts);
        }
        let root = self.laid(self.beside(0.01, 0.0, 0.05), 0.02 * length_m, 0.0);
        let tip = self.beside(-0.045, 0.03 * self.tail.0, 0.02 + 0.045 * self.tail.1);
        let tip = self.laid(tip, 0.01 * length_m, 0.0);
        parts.push(
            Part::cone(root, tip, (0.016 * length_m, 0.009 * length_m)).blended(0.02 * length_m).naked(0.6),
        );
        let parts =
            parts.into_iter().map(|part| part.moved(|point| moved(point, place), place.yaw)).collect();
        let middle = moved(vec3(0.0, 0.0, self.settled(Vec3::default()).z), place);
        Figure { parts, footprint: self.footprint(place), middle }
    }

    fn torso(&self, barrel: &[(Vec3, f32)]) -> Vec<Part> {
        let Build { length_m, girth, head, .. } = self.build;
        let mut parts: Vec<Part> = barrel
            .windows(2)
            .enumerate()
            .map(|(number, pair)| {
                let blend_m = if number < NECK { 0.07 } else { 0.04 } * length_m;
                let nakedness = [0.0, 0.0, 0.0, 0.0, 0.0, 0.15, 0.35, 0.45, 0.8][number];
                Part::cone(pair[0].0, pair[1].0, (pair[0].1, pair[1].1)).blended(blend_m).naked(nakedness)
            })
            .collect();
        let mut add = |from: (f32, f32), to: (f32, f32), radii: (f32, f32), scale: f32, nakedness: f32| {
            let radii_m = (radii.0 * length_m * scale, radii.1 * length_m * scale);
            let start = self.laid(self.beside(from.0, 0.0, from.1), radii_m.0, 0.2);
            let end = self.laid(self.beside(to.0, 0.0, to.1), radii_m.1, 0.2);
            parts.push(Part::cone(start, end, radii_m).blended(0.06 * length_m).naked(nakedness));
        };
        // The belly hangs below the barrel; the jowl below the head.
        add((0.26, -0.03), (0.56, -0.035), (0.108, 0.112), girth, 0.25);
        add((0.72, -0.035), (0.80, -0.035), (0.066, 0.05), head, 0.4);
        // The end of the snout is a disc.
        let (_, [forward, ..]) = self.spine(0.965);
        let nose = barrel[SPINE.len() - 1];
        let tip = nose.0 + (self.settled(forward) - self.settled(Vec3::default())) * (0.03 * length_m * head);
        let radius_m = 0.037 * length_m * head;
        parts.push(Part::cone(nose.0, tip, (radius_m, radius_m * 0.92)).blended(0.012 * length_m).naked(1.0));
        parts
    }

    /// Hams and shoulders.
    fn thighs(&self, side: f32, parts: &mut Vec<Part>) {
        let Build { length_m, girth, .. } = self.build;
        for (from, to, radius) in [
            ((0.10, 0.040, -0.02), (0.17, 0.052, -0.06), 0.098),
            ((0.575, 0.05, -0.01), (0.61, 0.055, -0.075), 0.091),
        ] {
            let radius_m = radius * length_m * girth;
            let point = |(along, left, up): (f32, f32, f32)| {
                self.laid(self.beside(along, side * left * girth, up), radius_m, 0.0)
            };
            parts.push(
                Part::cone(point(from), point(to), (radius_m, 0.93 * radius_m))
                    .blended(0.07 * length_m)
                    .naked(0.05),
            );
        }
    }

    fn legs(&self, side: f32, parts: &mut Vec<Part>) {
        let Build { length_m, girth, .. } = self.build;
        let some = |number: usize| self.legs[(number + if side > 0.0 { 4 } else { 0 }) % 8];
        // Opposite legs swing alike.
        let swing = if self.posture == Posture::Walking { 0.1 * side * some(0).signum() } else { 0.0 };
        let is_upper = self.roll.sin() * side > 0.0;
        // Each joint: along, to the side, up.
        let (fore, hind) = match self.posture {
            Posture::Standing | Posture::Walking | Posture::Mounting => {
                let (fore, hind) = (0.035 * some(1) + swing, 0.035 * some(2) - swing);
                let foot = -0.345 - 0.02 * girth + 0.012;
                (
                    [
                        (0.60, 0.072, -0.09),
                        (0.605 + 0.6 * fore, 0.078, -0.22),
                        (0.60 + 1.6 * fore, 0.078, foot),
                    ],
                    [
                        (0.13, 0.075, -0.08),
                        (0.07 + 0.6 * hind, 0.082, -0.215),
                        (0.09 + 1.6 * hind, 0.082, foot),
                    ],
                )
            }
            Posture::OnSide => {
                let (fore, hind) = (0.02 + 0.1 * some(1), 0.05 + 0.1 * some(2));
                (
                    [(0.60, 0.06, -0.10), (0.60 + fore, 0.05, -0.20), (0.60 + 1.3 * fore, 0.05, -0.30)],
                    [(0.14, 0.06, -0.09), (0.13 + hind, 0.05, -0.19), (0.10 + 1.2 * hind, 0.05, -0.30)],
                )
            }
            Posture::OnBelly | Posture::Sitting => {
                let fore = 0.02 + 0.04 * some(1);
                (
                    [(0.60, 0.09, -0.07), (0.66 + fore, 0.11, -0.115), (0.75 + fore, 0.10, -0.12)],
                    [(0.15, 0.095, -0.06), (0.24, 0.135, -0.10), (0.33 + 0.03 * some(2), 0.15, -0.12)],
                )
            }
        };
        let droop = match self.posture {
            Posture::OnSide if is_upper => [0.1, 0.45, 0.75],
            Posture::OnSide | Posture::OnBelly => [0.0, 0.3, 0.5],
            _ => [0.0; 3],
        };
        for (is_fore, joints, radii) in
            [(true, fore, [0.049, 0.030, 0.024]), (false, hind, [0.060, 0.033, 0.025])]
        {
            let radii_m = radii.map(|radius| radius * length_m * (0.5 + 0.5 * self.build.head));
            let mut points: [Vec3; 3] = std::array::from_fn(|number| {
                let (along, left, up) = joints[number];
                self.laid(self.beside(along, side * left * girth, up), radii_m[number], droop[number])
            });
            match (self.posture, is_fore) {
                // Straight down under the lifted shoulder.
                (Posture::Sitting, true) => {
                    let shoulder = points[0];
                    points[2] = vec3(shoulder.x + 0.03 * length_m, shoulder.y * 1.1, radii_m[2]);
                    points[1] = shoulder.lerp(points[2], 0.5);
                }
                (Posture::Sitting, false) => points.iter_mut().skip(1).for_each(|point| point.z = radii_m[2]),
                (Posture::Mounting, true) => {
                    points[1] = points[0] + vec3(0.10, 0.04 * side, -0.06) * length_m;
                    points[2] = points[1] + vec3(0.09, 0.01 * side, -0.06) * length_m;
                }
                (Posture::Mounting, false) => {
                    points[2] = vec3(points[0].x - 0.04 * length_m, points[0].y, radii_m[2]);
                    points[1] = points[0].lerp(points[2], 0.5) - vec3(0.03 * length_m, 0.0, 0.0);
                }
                _ => {}
            }
            let [hip, knee, foot] = points;
            parts.push(Part::cone(hip, knee, (radii_m[0], radii_m[1])).blended(0.045 * length_m).naked(0.1));
            parts.push(Part::cone(knee, foot, (radii_m[1], radii_m[2])).blended(0.02 * length_m).naked(0.35));
        }
    }

    fn ear(&self, side: f32, barrel: &[(Vec3, f32)], parts: &mut Vec<Part>) {
        let Build { length_m, head, has_lop_ears, .. } = self.build;
        let (out, up, along) = self.ears[usize::from(side > 0.0)];
        // The head of a lying pig rests on the floor, and its ears with it.
        let sunk = barrel[NECK].0 - self.settled(self.beside(SPINE[NECK].0, 0.0, 0.0));
        let place = |point: Vec3| {
            let mut point = self.settled(point) + sunk;
            point.z = point.z.max(0.012 * length_m);
            point
        };
        let root = place(self.beside(0.785, side * 0.052 * head, 0.052 * head));
        let tip = if has_lop_ears {
            self.beside(0.87 + 0.02 * along, side * (0.09 + 0.015 * out) * head, 0.03 + 0.02 * up)
        } else {
            self.beside(0.80 + 0.045 * along, side * (0.115 + 0.02 * out) * head, 0.12 + 0.03 * up)
        };
        let tip = place(tip);
        let (_, [forward, _, upward]) = self.spine(0.82);
        let origin = self.settled(Vec3::default());
        let across = (self.settled(upward * 0.8 - forward * 0.5) - origin).normalized();
        let along = (tip - root).normalized();
        let across = (across - along * across.dot(along)).normalized();
        parts.push(
            Part::cone(root, tip, (0.050 * length_m * head, 0.026 * length_m * head))
                .blended(0.015 * length_m)
                .naked(0.9)
                .flattened(across, 3.2),
        );
    }
}

/// From coordinates of the pig to those of the pen.
fn moved(point: Vec3, place: Place) -> Vec3 {
    let turned = point.turned(place.yaw.cos(), place.yaw.sin());
    let height = point.z + place.slope * point.x + place.lift_m;
    vec3(turned.x + place.x, turned.y + place.y, height.max(0.01))
}

/// A yaw along a wall: of the four sides of a pen, the first looks along x.
pub(super) fn along_wall(side: usize, random: &mut Random) -> f32 {
    let base = if side.is_multiple_of(2) { 0.0 } else { FRAC_PI_2 };
    base + if random.chance(0.5) { PI } else { 0.0 } + 0.15 * random.normal()
}
