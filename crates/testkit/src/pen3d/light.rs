//! Lamps, daylight and infrared.

use super::vector::{Vec3, vec3};
use crate::random::Random;
use std::f32::consts::TAU;

/// How a pen is lit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Lamps,
    Daylight,
    /// The infrared lamps of the camera, at night.
    Infrared,
}

/// A lamp with a position.
#[derive(Clone, Copy, Debug)]
pub(super) struct Lamp {
    pub position: Vec3,
    color: Vec3,
    pub casts_shadow: bool,
    /// Bars in front of it: spacing of their shadows in metres, direction, and the share that they shade.
    stripes: Option<(f32, f32, f32)>,
}

impl Lamp {
    fn new(position: Vec3, color: Vec3, casts_shadow: bool) -> Self {
        Self { position, color, casts_shadow, stripes: None }
    }

    /// The light at a point, without shadows.
    pub fn light_at(&self, at: Vec3, distance_m: f32) -> Vec3 {
        let mut light = self.color * (1.0 / (0.4 + distance_m * distance_m));
        if let Some((pitch_m, yaw, share)) = self.stripes {
            let across = (at.x * yaw.cos() + at.y * yaw.sin() + 0.6 * at.z) / pitch_m;
            if across - across.floor() < share {
                light = light * 0.45;
            }
        }
        light
    }
}

/// All light.
#[derive(Clone, Debug)]
pub(super) struct Lighting {
    pub lamps: Vec<Lamp>,
    pub ambient: Vec3,
    /// Strength of ambient occlusion.
    pub depth: f32,
    /// Dust in the air: the share of light scattered per metre, and its colour.
    pub haze: (f32, Vec3),
}

impl Lighting {
    pub fn varied(random: &mut Random, kind: Kind, (width, depth): (f32, f32), camera: Vec3) -> Self {
        let mut lamps = Vec::new();
        let over = |random: &mut Random, out: f32, low: f32, high: f32| {
            let mut place = |length: f32| length * random.between(-out, 1.0 + out);
            let (x, y) = (place(width), place(depth));
            vec3(x, y, random.between(low, high))
        };
        let ambient = match kind {
            Kind::Infrared => {
                let near = camera + vec3(0.1 * random.normal(), 0.1 * random.normal(), 0.05);
                lamps.push(Lamp::new(near, Vec3::splat(9.0), random.chance(0.5)));
                if random.chance(0.4) {
                    let other = over(random, 0.3, 2.2, 3.2);
                    lamps.push(Lamp::new(other, Vec3::splat(random.between(2.0, 9.0)), true));
                }
                Vec3::splat(random.between(0.15, 0.7))
            }
            Kind::Lamps | Kind::Daylight => {
                let warm = vec3(1.0, random.between(0.82, 1.0), random.between(0.6, 1.0));
                for number in 0..1 + random.below(3) {
                    let casts_shadow = number == 0 || random.chance(0.3);
                    let place = over(random, 0.3, 2.3, 3.6);
                    lamps.push(Lamp::new(place, warm * random.between(4.0, 12.0), casts_shadow));
                }
                if kind == Kind::Daylight {
                    let window =
                        vec3(random.sign() * 12.0, random.between(-8.0, 8.0), random.between(3.0, 7.0));
                    let mut sun =
                        Lamp::new(window, vec3(0.85, 0.95, 1.1) * random.between(30.0, 130.0), true);
                    if random.chance(0.3) {
                        let pitch_m = random.between(0.08, 0.5);
                        sun.stripes = Some((pitch_m, random.between(0.0, TAU), random.between(0.2, 0.5)));
                    }
                    lamps.push(sun);
                }
                let tint =
                    vec3(random.between(0.9, 1.0), random.between(0.95, 1.0), random.between(0.9, 1.1));
                tint * random.between(0.6, 2.4)
            }
        };
        let density = if random.chance(0.35) { random.between(0.005, 0.06) } else { 0.0 };
        let depth = random.between(1.0, 2.8);
        Self { lamps, ambient, depth, haze: (density, ambient * random.between(0.2, 0.5)) }
    }
}
