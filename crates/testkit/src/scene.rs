//! Drawn pens and corridors seen from above, with their truth.
//!
//! A [`Scene`] follows from its seed and settings alone, and time is an argument: the same seed gives the same bytes,
//! whoever asks for whichever moments in whichever order. The truth comes from the same numbers as the picture: boxes
//! with numbers on each frame, and crossings of a line off the paths. Parts: shape (`body.rs`), movement (`herd.rs`,
//! `plan.rs`), picture (`paint.rs`, `floor.rs`, `things.rs`, `light.rs`), crossings (`truth.rs`). [`Scene::varied`] draws any kind.
//!
//! With [`SceneSettings::marked`] each animal bears a round spot on its back whose colour tells the size of its box,
//! so that a network of a few kB (`fixtures/models/make_models.py`) finds it. Marked scenes test all that follows
//! from detections. They say nothing about how well a detector knows pigs; nor do the others, being drawings.

mod body;
mod canvas;
mod floor;
mod herd;
mod light;
mod noise;
mod paint;
mod plan;
mod things;
mod truth;
mod vary;

pub use paint::Coat;
pub use truth::{TrueBox, TrueCrossing};

use crate::random::Random;
use canvas::Canvas;
use herd::{Animal, Herd, STEP_SECS};
use light::Light;
use pigweight_core::geometry::{Point, Rect};
use pigweight_core::line::Line;
use plan::Planner;
use things::Thing;
use truth::Passages;

/// What a body's box may measure at most for its mark to tell it, parts of the picture's width.
const MARK_RANGE: f32 = 0.2;
/// Radius of a mark, parts of the picture's width.
const MARK_RADIUS: f32 = 0.0115;

/// What the animals stand on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Floor {
    /// Worn, stained, cracked.
    Concrete,
    /// Bars with dark gaps.
    Slats,
    /// Bedding.
    Straw,
}

/// How the scene is lit and seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lighting {
    /// Even light.
    Daylight,
    /// One bright spot, dark corners.
    Lamp,
    /// At night: grey and noisy, with a hot spot in the middle.
    Infrared,
}

/// What to draw.
#[derive(Clone, Debug, PartialEq)]
pub struct SceneSettings {
    /// px.
    pub width: u32,
    /// px.
    pub height: u32,
    /// In a pen; in a corridor the most at once.
    pub pigs: usize,
    /// Length of a usual animal, parts of the picture's width.
    pub body: f32,
    /// Drawn from with equal chances.
    pub coats: Vec<Coat>,
    /// Under them.
    pub floor: Floor,
    /// Over them.
    pub lighting: Lighting,
    /// How much bodies may overlap: 0 hardly at all, 1 half over each other.
    pub crowding: f32,
    /// Whether shadows fall.
    pub shadows: bool,
    /// The camera's noise, the most it changes a sample by; four times as much under infrared.
    pub noise: f32,
    /// Whether left and right are swapped, in picture and truth.
    pub mirrored: bool,
    /// Whether animals bear marks that tell their boxes.
    pub marked: bool,
    /// Balls, buckets, boards and people: what is no pig.
    pub things: usize,
}

impl Default for SceneSettings {
    fn default() -> Self {
        Self {
            width: 640,
            height: 360,
            pigs: 12,
            body: 0.115,
            coats: Coat::ALL.to_vec(),
            floor: Floor::Concrete,
            lighting: Lighting::Daylight,
            crowding: 0.15,
            shadows: true,
            noise: 2.0,
            mirrored: false,
            marked: false,
            things: 0,
        }
    }
}

/// Where animals may be, px; walls have no sides where it ends outside the picture.
#[derive(Clone, Copy, Debug)]
struct Place {
    left: f32,
    top: f32,
    right: f32,
    bottom: f32,
    /// Of the picture.
    width: f32,
    /// The middle of the trough's back.
    feeder: Option<(f32, f32)>,
}

/// A drawn place and its animals at a moment.
#[derive(Clone, Debug)]
pub struct Scene {
    settings: SceneSettings,
    noise_seed: u64,
    light: Light,
    /// Lit, without animals, people, shadows and noise.
    empty: Canvas,
    people: Vec<Thing>,
    start: Herd,
    herd: Herd,
    secs: f64,
}

impl Scene {
    /// A pen whose animals are all on the picture all the time.
    pub fn pen(seed: u64, settings: SceneSettings) -> Self {
        let (width, height) = (settings.width as f32, settings.height as f32);
        let wall = 0.025 * width;
        let (top, bottom) = (0.6 * wall, height - 0.6 * wall);
        let feeder = Some((width * 0.4, top));
        let place = Place { left: wall, top, right: width - wall, bottom, width, feeder };
        Self::new(seed, settings, &place, false)
    }

    /// A corridor from left to right, through which animals walk in groups. Some come from the right, some turn back,
    /// some stop on the line that [`Scene::line`] gives.
    pub fn corridor(seed: u64, settings: SceneSettings) -> Self {
        let (width, height) = (settings.width as f32, settings.height as f32);
        let outside = 10.0 * width;
        let (top, bottom) = (0.17 * height, 0.83 * height);
        let place = Place { left: -outside, top, right: width + outside, bottom, width, feeder: None };
        Self::new(seed, settings, &place, true)
    }

    fn new(seed: u64, settings: SceneSettings, place: &Place, is_corridor: bool) -> Self {
        let mut random = Random::new(seed);
        // One stream for each purpose: a change of the floor moves no animal.
        let [mut floor_random, mut light_random, herd_random] =
            std::array::from_fn(|_| Random::new(random.bits()));
        let noise_seed = random.bits();
        let mut things_random = Random::new(random.bits());
        let (width, height) = (settings.width as usize, settings.height as usize);
        let light = Light::new(settings.lighting, width, height, &mut light_random);
        let mut empty = Canvas::new(width, height);
        floor::paint(&mut empty, settings.floor, place, &mut floor_random);
        light.shine_on(&mut empty);
        let body_px = settings.body * settings.width as f32;
        let thing = |_| Thing::new(&mut things_random, place, height as f32, body_px);
        let (people, low): (Vec<_>, Vec<_>) = (0..settings.things).map(thing).partition(Thing::is_above);
        for thing in low {
            thing.paint(&mut empty, &light);
        }
        let planner = Planner::new(herd_random, settings.pigs, body_px, &settings.coats, is_corridor);
        let herd = Herd::new(*place, planner, settings.crowding);
        Self { settings, noise_seed, light, empty, people, start: herd.clone(), herd, secs: 0.0 }
    }

    /// As given.
    pub fn settings(&self) -> &SceneSettings {
        &self.settings
    }

    /// The line across the corridor's middle, on which some stop: an arrow up the screen, so that who walks from left
    /// to right crosses it forward, and backward on the mirrored picture.
    pub fn line(&self) -> Line {
        let (width, height) = (self.settings.width as f32, self.settings.height as f32);
        let ends = (Point::new((width / 2.0).round(), height), Point::new((width / 2.0).round(), 0.0));
        match Line::new(ends.0, ends.1) {
            Ok(line) => line,
            Err(error) => panic!("a picture of {width} × {height} px has no room for a line: {error}"),
        }
    }

    /// Goes to a moment, in seconds from the beginning; back as well as on.
    pub fn advance_to(&mut self, secs: f64) {
        let secs = secs.max(0.0);
        // The step at or behind the moment, so that the same moment always lies between the same two.
        let steps = (secs / STEP_SECS - 1e-6).ceil() as u64;
        if steps < self.herd.steps {
            self.herd = self.start.clone();
        }
        while self.herd.steps < steps {
            self.herd.step();
        }
        self.secs = secs;
    }

    /// The animals whose middle is on the picture, in the order of their numbers.
    pub fn boxes(&self) -> Vec<TrueBox> {
        let (width, height) = (self.settings.width as f32, self.settings.height as f32);
        self.herd
            .animals
            .iter()
            .filter_map(|animal| {
                let body = self.body_box(animal, self.share());
                let center = body.center();
                let is_seen = (0.0..width).contains(&center.x) && (0.0..height).contains(&center.y);
                is_seen.then(|| TrueBox { id: animal.id, rect: body.clipped(width, height), center })
            })
            .collect()
    }

    /// The picture at the moment: tightly packed RGB.
    pub fn draw(&self) -> Vec<u8> {
        let mut canvas = self.empty.clone();
        let share = self.share();
        let animals =
            || self.herd.animals.iter().map(|animal| (animal, animal.before.towards(animal.pose, share)));
        if self.settings.shadows {
            for (animal, pose) in animals() {
                paint::shadow(&mut canvas, &self.light, pose, animal.body);
            }
        }
        for (animal, pose) in animals() {
            paint::body(&mut canvas, &self.light, animal.skin, pose, animal.body);
        }
        for person in &self.people {
            person.paint(&mut canvas, &self.light);
        }
        let moment = Random::new(self.noise_seed ^ self.secs.to_bits());
        self.light.develop(&mut canvas, self.settings.noise, moment);
        if self.settings.marked {
            // Upon all, lit by themselves: no animal hides another's mark, no lamp changes its colour.
            for (_, pose) in animals().map(|(animal, pose)| (animal, pose.outline(animal.body))) {
                let range = MARK_RANGE * self.settings.width as f32;
                let tell = |px: f32| 127.5 + 127.5 * (px / range).min(1.0);
                let center = pose.center();
                let radius = MARK_RADIUS * self.settings.width as f32;
                canvas.disc((center.x, center.y), radius, [tell(pose.width), 0.0, tell(pose.height)]);
            }
        }
        if self.settings.mirrored {
            canvas.mirror();
        }
        canvas.rgb
    }

    /// The picture without animals and noise.
    pub fn background(&self) -> Vec<u8> {
        let mut canvas = self.empty.clone();
        self.light.develop(&mut canvas, 0.0, Random::new(0));
        if self.settings.mirrored {
            canvas.mirror();
        }
        canvas.rgb
    }

    /// The true passages over a line that are sure by a moment, by time.
    pub fn crossings(&self, line: Line, until_secs: f64) -> Vec<TrueCrossing> {
        let mut scene = Self { herd: self.start.clone(), ..self.clone() };
        let mut passages = Passages::new(line);
        while scene.herd.secs() + STEP_SECS <= until_secs {
            scene.herd.step();
            for animal in &scene.herd.animals {
                passages.follow(scene.herd.secs(), animal.id, scene.body_box(animal, 1.0));
            }
        }
        let mut crossings = passages.crossings;
        crossings.sort_by(|one, other| one.secs.total_cmp(&other.secs).then(one.id.cmp(&other.id)));
        crossings
    }

    /// How far the moment is from the step before to the last.
    fn share(&self) -> f32 {
        if self.herd.steps == 0 { 1.0 } else { (1.0 - (self.herd.secs() - self.secs) / STEP_SECS) as f32 }
    }

    /// The box round a body, mirrored as the picture is, not clipped.
    fn body_box(&self, animal: &Animal, share: f32) -> Rect {
        let rect = animal.before.towards(animal.pose, share).outline(animal.body);
        if self.settings.mirrored {
            Rect { x: self.settings.width as f32 - rect.right(), ..rect }
        } else {
            rect
        }
    }
}
