//! What animals mean to do: in a pen they eat, visit, rest and race; through a corridor they walk in groups, and some
//! turn back or stop on the line.

use super::Place;
use super::body::Body;
use super::herd::{Animal, standing};
use super::paint::{Coat, Skin};
use crate::random::Random;
use std::collections::VecDeque;

/// A walk and the rest at its end.
#[derive(Clone, Copy, Debug)]
pub(super) struct Leg {
    pub(super) x: f32,
    pub(super) y: f32,
    /// Body lengths per second.
    pub(super) speed: f32,
    pub(super) rest_secs: f64,
    /// When to give up.
    pub(super) patience_secs: f64,
    /// It is enough to come past x.
    pub(super) is_across: bool,
}

/// Decides for all animals, and lets new ones in.
#[derive(Clone, Debug)]
pub(super) struct Planner {
    random: Random,
    pigs: usize,
    body_px: f32,
    coats: Vec<Coat>,
    is_corridor: bool,
    next_id: u32,
    next_entry_secs: f64,
    /// Still to come of the present group, and from where.
    group_left: usize,
    is_from_right: bool,
}

impl Planner {
    pub(super) fn new(random: Random, pigs: usize, body_px: f32, coats: &[Coat], is_corridor: bool) -> Self {
        let coats = if coats.is_empty() { vec![Coat::Pink] } else { coats.to_vec() };
        Self {
            random,
            pigs,
            body_px,
            coats,
            is_corridor,
            next_id: 1,
            next_entry_secs: 0.3,
            group_left: 0,
            is_from_right: false,
        }
    }

    /// Those of a pen are there from the beginning; into a corridor they come.
    pub(super) fn first_animals(&mut self, place: &Place) -> Vec<Animal> {
        let count = if self.is_corridor { 0 } else { self.pigs };
        let inset = 0.5 * self.body_px;
        (0..count)
            .map(|_| {
                let x = self.random.between(place.left + inset, place.right - inset);
                let y = self.random.between(place.top + inset, place.bottom - inset);
                let heading = self.random.between(-3.1, 3.1);
                let rest_secs = f64::from(self.random.between(0.0, 4.0));
                let stay = Leg { x, y, speed: 0.0, rest_secs, patience_secs: 0.0, is_across: false };
                self.animal(x, y, heading, 0.0, [stay].into())
            })
            .collect()
    }

    fn animal(&mut self, x: f32, y: f32, heading: f32, speed: f32, legs: VecDeque<Leg>) -> Animal {
        let random = &mut self.random;
        let body =
            Body { length_px: self.body_px * random.between(0.9, 1.1), girth: random.between(0.92, 1.1) };
        let skin = Skin::new(self.coats[random.below(self.coats.len())], random);
        let pose = standing(x, y, heading, random);
        let id = self.next_id;
        self.next_id += 1;
        Animal::new(id, body, skin, pose, speed, legs)
    }

    /// Lets the next of a group into the corridor when it is time and the entrance is free.
    pub(super) fn let_in(&mut self, animals: &mut Vec<Animal>, place: &Place, secs: f64) {
        if !self.is_corridor || secs < self.next_entry_secs || animals.len() >= self.pigs {
            return;
        }
        if self.group_left == 0 {
            self.group_left = 1 + self.random.below(4);
            self.is_from_right = self.random.chance(0.15);
        }
        let outside = 0.8 * self.body_px;
        let x = if self.is_from_right { place.width + outside } else { -outside };
        let inset = 0.45 * self.body_px;
        let y = self.random.between(place.top + inset, place.bottom - inset);
        self.next_entry_secs = secs + 0.2;
        let is_free = |animal: &Animal| (animal.pose.x - x).hypot(animal.pose.y - y) > 1.1 * self.body_px;
        if !animals.iter().all(is_free) {
            return;
        }
        let legs = self.way_through(x, y, place);
        let heading = if self.is_from_right { std::f32::consts::PI } else { 0.0 };
        let animal = self.animal(x, y, heading, 0.7, legs);
        animals.push(animal);
        self.group_left -= 1;
        let pause = if self.group_left > 0 { (0.5, 1.6) } else { (1.5, 5.0) };
        self.next_entry_secs = secs + f64::from(self.random.between(pause.0, pause.1));
    }

    /// From one end to the other, or not.
    fn way_through(&mut self, x: f32, y: f32, place: &Place) -> VecDeque<Leg> {
        let random = &mut self.random;
        let length = self.body_px;
        let onward = if x < 0.0 { 1.0 } else { -1.0 };
        let line_x = place.width / 2.0;
        let speed = random.between(0.75, 1.25);
        let leg = |x: f32, rest_secs: f32, speed: f32| Leg {
            x,
            y,
            speed,
            rest_secs: f64::from(rest_secs),
            patience_secs: f64::from(u16::MAX),
            is_across: true,
        };
        let out = leg(place.width / 2.0 + onward * (place.width / 2.0 + length), 0.0, speed);
        let back = Leg { x: x - onward * 0.3 * length, ..out };
        match random.unit() {
            // Turns back, a good length before or behind the line: nobody can say of less who crossed.
            0.0..0.12 => {
                let past =
                    if random.chance(0.5) { random.between(1.3, 2.2) } else { random.between(-2.2, -1.2) };
                [leg(line_x + onward * past * length, random.between(0.0, 1.5), speed), back].into()
            }
            // Stops on the line, a little before or behind it, and goes on or back.
            0.12..0.27 => {
                let side = if random.chance(0.5) { 1.0 } else { -1.0 };
                let stop_x = line_x + onward * side * random.between(0.13, 0.18) * length;
                let stop = leg(stop_x, random.between(1.5, 5.0), speed);
                [stop, if random.chance(0.7) { out } else { back }].into()
            }
            // Hurries.
            0.27..0.40 => {
                [leg(line_x + random.between(-2.0, 0.0) * length, 0.0, speed), Leg { speed: 2.2, ..out }]
                    .into()
            }
            _ => [out].into(),
        }
    }

    /// What to do next; nothing for who has gone through the corridor.
    pub(super) fn next_legs(&mut self, animals: &[Animal], index: usize, place: &Place) -> VecDeque<Leg> {
        if self.is_corridor {
            return VecDeque::new();
        }
        let random = &mut self.random;
        let me = animals[index].pose;
        let inset = 0.5 * self.body_px;
        let anywhere = (
            random.between(place.left + inset, place.right - inset),
            random.between(place.top + inset, place.bottom - inset),
        );
        let (speed, rest) = (random.between(0.45, 0.95), random.between(1.0, 8.0));
        let ((x, y), speed, rest) = match random.unit() {
            0.0..0.25 => ((me.x, me.y), 0.0, rest),
            0.25..0.45 => match place.feeder {
                Some((x, y)) => {
                    ((x + random.between(-70.0, 70.0), y + self.body_px * 0.7), speed, rest + 3.0)
                }
                None => (anywhere, speed, rest),
            },
            0.45..0.60 => {
                let friend = animals[random.below(animals.len())].pose;
                ((friend.x, friend.y), speed, rest)
            }
            // A race, and a short breath.
            0.60..0.72 => (anywhere, 2.4, 0.8),
            // Turns round where it stands.
            0.72..0.80 => {
                let (sin, cos) = me.heading.sin_cos();
                ((me.x - cos * self.body_px, me.y - sin * self.body_px), 0.4, rest)
            }
            _ => (anywhere, speed, 0.5),
        };
        let patience_secs = if speed > 0.0 { 9.0 } else { 0.0 };
        [Leg { x, y, speed, rest_secs: f64::from(rest), patience_secs, is_across: false }].into()
    }
}
