//! Positions and postures of the pigs in a pen: in heaps, along walls, apart, mounting one another.

use super::coat::Coat;
use super::coat::Herdbook;
use super::enclosure::Wall;
use super::pig::{Build, Figure, Place, Pose, Posture, along_wall};
use crate::random::Random;
use std::f32::consts::{FRAC_PI_2, PI, TAU};

/// One pig.
pub(super) struct Pig {
    pub figure: Figure,
    pub coat: Coat,
    pub place: Place,
    pub length_m: f32,
    posture: Posture,
}

/// The behaviour of the herd.
#[derive(Clone, Copy, Debug)]
pub(super) struct Mood {
    /// The share that stands or walks.
    pub active_share: f32,
    /// The share of the others that lies close to another pig.
    pub heaping: f32,
    /// They walk along x.
    pub in_corridor: bool,
}

impl Mood {
    pub fn varied(random: &mut Random) -> Self {
        let active_share = match random.unit() {
            asleep if asleep < 0.35 => random.between(0.0, 0.15),
            mixed if mixed < 0.7 => random.between(0.15, 0.5),
            _ => random.between(0.5, 1.0),
        };
        Self { active_share, heaping: random.between(0.4, 0.97), in_corridor: false }
    }

    fn posture(self, random: &mut Random) -> Posture {
        if self.in_corridor {
            return if random.chance(0.8) { Posture::Walking } else { Posture::Standing };
        }
        if random.chance(self.active_share) {
            return match random.unit() {
                rare if rare < 0.06 => Posture::Sitting,
                walk if walk < 0.35 => Posture::Walking,
                _ => Posture::Standing,
            };
        }
        if random.chance(0.66) { Posture::OnSide } else { Posture::OnBelly }
    }
}

/// The space for the herd.
pub(super) struct Room<'a> {
    pub width_m: f32,
    pub depth_m: f32,
    pub walls: &'a [Wall],
    /// Occupied circles: x, y, radius.
    pub taken: &'a [(f32, f32, f32)],
}

/// Attempts to place one pig. A pig that seeks company tries beside others first.
const TRIES: usize = 160;
const TRIES_BESIDE: usize = 110;
/// The distance from which on two pigs never touch, in lengths of a pig.
const FAR: f32 = 1.35;

/// Adds as many pigs as wanted, or as many as fit.
pub(super) fn settle(
    random: &mut Random,
    pigs: &mut Vec<Pig>,
    count: usize,
    build: Build,
    mood: Mood,
    room: &Room<'_>,
) {
    let herdbook = Herdbook::new(random);
    for _ in 0..count {
        let build = build.littermate(random);
        if !mood.in_corridor && random.chance(0.02) && mount(random, build, &herdbook, pigs) {
            continue;
        }
        let posture = mood.posture(random);
        for attempt in 0..TRIES {
            let pose = Pose::new(random, build, posture);
            let is_on_others = posture.is_lying() && random.chance(0.07);
            let mut place = if !pigs.is_empty() && attempt < TRIES_BESIDE && {
                let wish = if posture.is_lying() { mood.heaping } else { 0.25 };
                random.chance(wish)
            } {
                let other = random.below(pigs.len());
                beside(random, &pigs[other], build.length_m)
            } else {
                alone(random, room, build.length_m, mood)
            };
            if is_on_others {
                place.lift_m = random.between(0.08, 0.2) * build.length_m;
                place.slope = 0.12 * random.normal();
            }
            // Circles of two pigs may overlap a little, because bodies yield.
            let tolerance = if is_on_others { 0.5 } else { random.between(0.72, 0.92) };
            if fits(&pose.footprint(place), place, build.length_m, tolerance, pigs, room) {
                let coat = herdbook.coat(random);
                pigs.push(Pig { figure: pose.figure(place), coat, place, length_m: build.length_m, posture });
                break;
            }
        }
    }
}

/// Mounting a standing pig.
fn mount(random: &mut Random, build: Build, herdbook: &Herdbook, pigs: &mut Vec<Pig>) -> bool {
    let Some(below) = pigs.iter().find(|pig| pig.posture == Posture::Standing) else { return false };
    let yaw = below.place.yaw + 0.2 * random.normal();
    let back = 0.55 * below.length_m;
    let place = Place {
        x: below.place.x - back * yaw.cos(),
        y: below.place.y - back * yaw.sin(),
        yaw,
        lift_m: 0.0,
        slope: 0.0,
    };
    let pose = Pose::new(random, build, Posture::Mounting);
    let coat = herdbook.coat(random);
    let (figure, length_m) = (pose.figure(place), build.length_m);
    pigs.push(Pig { figure, coat, place, length_m, posture: Posture::Mounting });
    true
}

/// Beside another pig, mostly parallel to it, or at its head or tail.
fn beside(random: &mut Random, other: &Pig, length_m: f32) -> Place {
    let Place { x, y, yaw: its_yaw, .. } = other.place;
    if random.chance(0.75) {
        let yaw = if random.chance(0.65) {
            its_yaw + 0.22 * random.normal() + if random.chance(0.35) { PI } else { 0.0 }
        } else {
            random.between(0.0, TAU)
        };
        let towards = its_yaw + random.sign() * FRAC_PI_2 + 0.35 * random.normal();
        let apart = length_m * random.between(0.21, 0.34);
        let shift = 0.12 * length_m * random.normal();
        return Place {
            x: x + towards.cos() * apart + its_yaw.cos() * shift,
            y: y + towards.sin() * apart + its_yaw.sin() * shift,
            yaw,
            lift_m: 0.0,
            slope: 0.0,
        };
    }
    let towards = its_yaw + if random.chance(0.5) { 0.0 } else { PI } + 0.3 * random.normal();
    let apart = length_m * random.between(0.65, 1.0);
    let yaw = random.between(0.0, TAU);
    Place { x: x + towards.cos() * apart, y: y + towards.sin() * apart, yaw, lift_m: 0.0, slope: 0.0 }
}

/// At a random position, often along a wall.
fn alone(random: &mut Random, room: &Room<'_>, length_m: f32, mood: Mood) -> Place {
    let (width, depth) = (room.width_m, room.depth_m);
    let (mut x, mut y) = (width * random.unit(), depth * random.unit());
    let mut yaw = random.between(0.0, TAU);
    if mood.in_corridor {
        yaw = 0.25 * random.normal() + if random.chance(0.1) { PI } else { 0.0 };
    } else if random.chance(0.4) {
        let away = length_m * random.between(0.12, 0.5);
        let side = random.below(4);
        match side {
            0 => y = away,
            1 => x = width - away,
            2 => y = depth - away,
            _ => x = away,
        }
        yaw = along_wall(if random.chance(0.5) { side } else { side + 1 }, random);
    }
    Place { x, y, yaw, lift_m: 0.0, slope: 0.0 }
}

fn fits(
    footprint: &[(f32, f32, f32)],
    place: Place,
    length_m: f32,
    tolerance: f32,
    pigs: &[Pig],
    room: &Room<'_>,
) -> bool {
    let inside = |&(x, y, radius): &(f32, f32, f32)| {
        let margin = 0.95 * radius;
        x > margin
            && y > margin
            && x < room.width_m - margin
            && y < room.depth_m - margin
            && !room.walls.iter().any(|wall| wall.blocks(x, y, 0.8 * radius))
    };
    let touches = |others: &[(f32, f32, f32)], tolerance: f32| {
        others.iter().any(|other| {
            footprint
                .iter()
                .any(|own| (own.0 - other.0).hypot(own.1 - other.1) < tolerance * (own.2 + other.2))
        })
    };
    footprint.iter().all(inside)
        && !touches(room.taken, 0.9)
        && pigs.iter().all(|pig| {
            (pig.place.x - place.x).hypot(pig.place.y - place.y) > FAR * length_m.max(pig.length_m)
                || !touches(&pig.figure.footprint, tolerance)
        })
}
