//! How animals move: each follows its plan, turns smoothly, goes round others, and bodies push each other apart.
//!
//! Steps have a fixed length, so the result doesn't depend on how often the scene is rendered.

use super::Place;
use super::body::{Body, Pose, wrapped};
use super::paint::Skin;
use super::plan::{Leg, Planner};
use crate::random::Random;
use std::collections::VecDeque;

/// Length of a step.
pub(super) const STEP_SECS: f64 = 0.02;
const STEP: f32 = STEP_SECS as f32;
/// Body lengths per second, per second.
const ACCELERATION: f32 = 2.5;
/// Radians per second; of a turn on the spot as well.
const MAX_TURN: f32 = 1.9;
/// Radians per second, per second.
const TURN_ACCELERATION: f32 = 9.0;
/// The discs a body bumps with: place along the body and radius, body lengths.
const DISCS: [(f32, f32); 3] = [(-0.24, 0.185), (0.03, 0.195), (0.32, 0.150)];

#[derive(Clone, Debug)]
pub(super) struct Animal {
    pub(super) id: u32,
    pub(super) body: Body,
    pub(super) skin: Skin,
    pub(super) pose: Pose,
    /// A step ago.
    pub(super) before: Pose,
    /// What it still means to do.
    pub(super) legs: VecDeque<Leg>,
    /// Since the present leg began.
    leg_secs: f64,
    leg_from_x: f32,
    rested_secs: f64,
    is_resting: bool,
    /// Body lengths per second.
    speed: f32,
    /// Radians per second.
    turn: f32,
}

impl Animal {
    pub(super) fn new(id: u32, body: Body, skin: Skin, pose: Pose, speed: f32, legs: VecDeque<Leg>) -> Self {
        let leg_from_x = pose.x;
        Self {
            id,
            body,
            skin,
            pose,
            before: pose,
            legs,
            leg_secs: 0.0,
            leg_from_x,
            rested_secs: 0.0,
            is_resting: false,
            speed,
            turn: 0.0,
        }
    }

    fn disc(&self, (u, radius): (f32, f32)) -> (f32, f32, f32) {
        let (sin, cos) = self.pose.heading.sin_cos();
        let length = self.body.length_px;
        (self.pose.x + cos * u * length, self.pose.y + sin * u * length, radius * length * self.body.girth)
    }

    /// Whether the present leg is over by now; keeps the rest at its end.
    fn has_arrived(&mut self) -> bool {
        let Some(leg) = self.legs.front() else { return true };
        let (x, y) = (leg.x - self.pose.x, leg.y - self.pose.y);
        let is_there = if leg.is_across {
            (leg.x - self.pose.x) * (leg.x - self.leg_from_x) <= 0.0
        } else {
            x.hypot(y) < 0.45 * self.body.length_px
        };
        self.leg_secs += STEP_SECS;
        self.is_resting |= is_there || self.leg_secs > leg.patience_secs;
        if self.is_resting {
            self.rested_secs += STEP_SECS;
        }
        self.is_resting && self.rested_secs > leg.rest_secs
    }

    fn next_leg(&mut self) {
        self.legs.pop_front();
        (self.leg_secs, self.rested_secs, self.is_resting) = (0.0, 0.0, false);
        self.leg_from_x = self.pose.x;
    }

    /// Turns and walks for a step. `steer` turns away from who is in the way, `brake` (0 to 1) slows down.
    fn walk(&mut self, steer: f32, brake: f32, middle_y: f32) {
        let mut wanted_speed = 0.0;
        let mut wanted_turn = 0.0;
        if let Some(leg) = self.legs.front().filter(|_| !self.is_resting) {
            let (x, y) = (leg.x - self.pose.x, leg.y - self.pose.y);
            let mut off = wrapped(y.atan2(x) - self.pose.heading);
            if off.abs() > 2.4 {
                // Round by the side where there is room.
                let to_middle = (middle_y - self.pose.y) * self.pose.heading.cos();
                off = off.abs() * if to_middle >= 0.0 { 1.0 } else { -1.0 };
            }
            wanted_turn = (2.5 * off + 2.2 * steer).clamp(-MAX_TURN, MAX_TURN);
            let left = if leg.is_across { x.abs() } else { x.hypot(y) } / self.body.length_px;
            let approach = if leg.rest_secs > 0.0 { 0.12 + 1.6 * left } else { f32::MAX };
            wanted_speed = leg.speed.min(approach) * off.cos().max(0.22) * (1.0 - 0.75 * brake);
        }
        let most = ACCELERATION * STEP;
        self.speed += (wanted_speed - self.speed).clamp(-most, most);
        let most = TURN_ACCELERATION * STEP;
        self.turn += (wanted_turn - self.turn).clamp(-most, most);
        let pose = &mut self.pose;
        pose.heading = wrapped(pose.heading + self.turn * STEP);
        let (sin, cos) = pose.heading.sin_cos();
        pose.x += cos * self.speed * self.body.length_px * STEP;
        pose.y += sin * self.speed * self.body.length_px * STEP;
        pose.stride += (self.speed * 7.0 + 0.4) * STEP;
        let sway = 0.05 * pose.stride.sin() * self.speed.min(1.0);
        let bend = (self.turn * 0.28 + sway).clamp(-0.6, 0.6);
        pose.bend += (bend - pose.bend) * 4.0 * STEP;
    }
}

#[derive(Clone, Debug)]
pub(super) struct Herd {
    pub(super) animals: Vec<Animal>,
    pub(super) steps: u64,
    planner: Planner,
    place: Place,
    /// The part of two discs' distance that may be lost to overlap.
    overlap: f32,
}

impl Herd {
    pub(super) fn new(place: Place, mut planner: Planner, crowding: f32) -> Self {
        let animals = planner.first_animals(&place);
        let mut herd =
            Self { animals, steps: 0, planner, place, overlap: 0.04 + 0.4 * crowding.clamp(0.0, 1.0) };
        // No animal starts on top of another.
        for _ in 0..150 {
            herd.push_apart();
        }
        for animal in &mut herd.animals {
            animal.before = animal.pose;
        }
        herd
    }

    pub(super) fn secs(&self) -> f64 {
        self.steps as f64 * STEP_SECS
    }

    pub(super) fn step(&mut self) {
        self.steps += 1;
        for animal in &mut self.animals {
            animal.before = animal.pose;
        }
        let secs = self.secs();
        self.planner.let_in(&mut self.animals, &self.place, secs);
        for index in 0..self.animals.len() {
            if self.animals[index].has_arrived() {
                self.animals[index].next_leg();
                if self.animals[index].legs.is_empty() {
                    let legs = self.planner.next_legs(&self.animals, index, &self.place);
                    self.animals[index].legs = legs;
                }
            }
            let (steer, brake) = self.way_round(index);
            let middle_y = (self.place.top + self.place.bottom) / 2.0;
            self.animals[index].walk(steer, brake, middle_y);
        }
        // Who has no plan left has gone out of the picture.
        self.animals.retain(|animal| !animal.legs.is_empty());
        for _ in 0..3 {
            self.push_apart();
        }
    }

    /// Where to turn and how much to slow down for those in front.
    fn way_round(&self, index: usize) -> (f32, f32) {
        let me = &self.animals[index];
        let (sin, cos) = me.pose.heading.sin_cos();
        let length = me.body.length_px;
        let (mut steer, mut brake) = (0.0f32, 0.0f32);
        for other in self.animals.iter().filter(|other| other.id != me.id) {
            let (x, y) = (other.pose.x - me.pose.x, other.pose.y - me.pose.y);
            let (ahead, side) = ((cos * x + sin * y) / length, (cos * y - sin * x) / length);
            if ahead > 0.1 && ahead < 1.5 && side.abs() < 0.6 {
                let near = (1.0 - ahead / 1.5) * (1.0 - side.abs() / 0.6);
                // Both of a meeting pair turn to their right.
                let away = if side.abs() < 0.05 { 1.0 } else { -side.signum() };
                steer += away * near;
                brake = brake.max(near);
            }
        }
        let nose = (me.pose.x + cos * 0.7 * length, me.pose.y + sin * 0.7 * length);
        let Place { left, top, right, bottom, .. } = self.place;
        for (beyond, inward) in
            [(left - nose.0, -sin), (nose.0 - right, sin), (top - nose.1, cos), (nose.1 - bottom, -cos)]
        {
            if beyond > 0.0 {
                steer += inward * (beyond / (0.3 * length)).min(1.0);
            }
        }
        (steer.clamp(-1.2, 1.2), brake)
    }

    /// Moves and turns bodies that overlap too much, and those in the walls, a part of the way out.
    fn push_apart(&mut self) {
        for one in 0..self.animals.len() {
            for other in one + 1..self.animals.len() {
                let (a, b) = (&self.animals[one], &self.animals[other]);
                let reach = (a.body.length_px + b.body.length_px) * 0.55;
                let (x, y) = (b.pose.x - a.pose.x, b.pose.y - a.pose.y);
                if x * x + y * y > reach * reach {
                    continue;
                }
                for disc in DISCS {
                    for with in DISCS {
                        let (ax, ay, a_radius) = self.animals[one].disc(disc);
                        let (bx, by, b_radius) = self.animals[other].disc(with);
                        let (x, y) = (bx - ax, by - ay);
                        let distance = x.hypot(y);
                        let deep = (a_radius + b_radius) * (1.0 - self.overlap) - distance;
                        if deep > 0.0 {
                            // In one place: apart along x.
                            let (x, y) =
                                if distance > 1e-3 { (x / distance, y / distance) } else { (1.0, 0.0) };
                            let push = 0.22 * deep;
                            shove(&mut self.animals[one], (ax, ay), (-x * push, -y * push));
                            shove(&mut self.animals[other], (bx, by), (x * push, y * push));
                        }
                    }
                }
            }
        }
        let Place { left, top, right, bottom, .. } = self.place;
        for animal in &mut self.animals {
            for disc in DISCS {
                let (x, y, radius) = animal.disc(disc);
                let push_x = (left + radius - x).max(0.0) - (x + radius - right).max(0.0);
                let push_y = (top + radius - y).max(0.0) - (y + radius - bottom).max(0.0);
                shove(animal, (x, y), (0.6 * push_x, 0.6 * push_y));
            }
        }
    }
}

/// Pushes a body at a place: moves it, and turns it as far as the push is off its middle.
fn shove(animal: &mut Animal, at: (f32, f32), push: (f32, f32)) {
    let lever = (at.0 - animal.pose.x, at.1 - animal.pose.y);
    let pose = &mut animal.pose;
    pose.x += push.0;
    pose.y += push.1;
    let turn = (lever.0 * push.1 - lever.1 * push.0) / animal.body.length_px.powi(2) * 1.6;
    pose.heading = wrapped(pose.heading + turn.clamp(-0.03, 0.03));
}

/// A pose to start from.
pub(super) fn standing(x: f32, y: f32, heading: f32, random: &mut Random) -> Pose {
    Pose { x, y, heading, bend: 0.0, stride: random.between(0.0, 6.0) }
}
