//! Learns a pen from its own film and the number of animals in it: one number, or one for each picture.
//!
//! A camera always sees the same pen. Told how many animals are in it, the detector teaches itself: what it finds again and again, at several
//! sizes and in the mirror, is an animal ([`crate::label`]); what never moves is none ([`crate::stillness`]); what lies between is left open. It
//! trains on that, and does so again with what it has learned. The mean of the weights before and after keeps more of what was known
//! (Wortsman et al. 2022, arXiv 2109.01903).
//!
//! Whether it got better is judged on a part of the film that it never trains on, by what needs no labels: how far its count is from the
//! number, and whether it still finds what the detector before was sure of. It is taken only if it got better.
//!
//! [`Adaptation::advance`] does one piece of work of some seconds and returns; between two of them the caller may save
//! [`Adaptation::saved`], stop, and go on another day.

use crate::augment::{RgbPicture, varied};
use crate::error::Error;
use crate::feature_map::FeatureMap;
use crate::label::{Found, LEAST_SCORE, USUAL_WIDTH, detect, detect_in_views, labels};
use crate::loss::Truth;
use crate::network::Network;
use crate::stillness::{Stillness, StillnessBuilder};
use crate::trainer::{Trainer, TrainerState};
use fastrand::Rng;
use serde::{Deserialize, Serialize};
use std::ops::RangeInclusive;

/// The most animals: more than on any picture of a pen.
pub const MOST_ANIMALS: u32 = 300;
/// Fewer pictures teach nothing.
pub const FEWEST_PICTURES: usize = 12;
/// Boxes of what the detector before is so sure of must still be found,
const SURE_SHARE: f32 = 0.7;
/// this share of them at least.
const LEAST_AGREEMENT: f64 = 0.85;
/// Better by less is chance.
const LEAST_GAIN: f64 = 0.05;
/// If more of what the detector is sure of never moves, it is no feeder and no wall: it is animals asleep.
const MOST_STILL: f32 = 0.5;
/// Scores at which so many are counted are refused: the number can't be right, or the detector sees nothing here.
const THRESHOLDS: RangeInclusive<f32> = 0.05..=0.9;
/// What programs take as a threshold where nobody names another: the scores are moved there.
pub const USUAL_THRESHOLD: f32 = 0.3;

/// How much is learned.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Settings {
    /// Times that it labels and trains.
    pub rounds: u32,
    /// Steps of each.
    pub steps: u32,
    /// Pictures of a step.
    pub batch: u32,
    /// The greatest step of a weight.
    pub rate: f32,
    /// The same seed gives the same detector.
    pub seed: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self { rounds: 2, steps: 200, batch: 8, rate: 2e-4, seed: 1 }
    }
}

/// A picture, and how many animals are in view on it.
#[derive(Clone, Debug, PartialEq)]
pub struct NumberedPicture {
    /// The picture.
    pub picture: RgbPicture,
    /// As a person says.
    pub animals: u32,
}

/// Pictures of one camera, all of one size.
pub struct Film {
    training: Vec<RgbPicture>,
    held_out: Vec<RgbPicture>,
    /// Animals in view on each picture to train on,
    training_animals: Vec<u32>,
    /// and on each one to judge by.
    held_out_animals: Vec<u32>,
    stillness: Stillness,
}

impl Film {
    /// Of pictures to train on, and later ones to judge by.
    pub fn new(training: Vec<NumberedPicture>, held_out: Vec<NumberedPicture>) -> Self {
        let parted = |numbered: Vec<NumberedPicture>| -> (Vec<RgbPicture>, Vec<u32>) {
            numbered.into_iter().map(|one| (one.picture, one.animals)).unzip()
        };
        let ((training, training_animals), (held_out, held_out_animals)) =
            (parted(training), parted(held_out));
        let mut builder = StillnessBuilder::default();
        training.iter().for_each(|picture| builder.add(picture));
        Self { training, held_out, training_animals, held_out_animals, stillness: builder.finish() }
    }

    /// Of pictures with the same number of animals all the time.
    pub fn with_constant_number(training: Vec<RgbPicture>, held_out: Vec<RgbPicture>, animals: u32) -> Self {
        let numbered = |pictures: Vec<RgbPicture>| {
            pictures.into_iter().map(|picture| NumberedPicture { picture, animals }).collect()
        };
        Self::new(numbered(training), numbered(held_out))
    }

    /// Animals in view on each picture: those to train on, then those to judge by.
    pub fn animals(&self) -> impl Iterator<Item = u32> {
        self.training_animals.iter().chain(&self.held_out_animals).copied()
    }

    /// Pictures to train on, and to judge by.
    pub fn len(&self) -> (usize, usize) {
        (self.training.len(), self.held_out.len())
    }

    /// All pictures.
    pub fn pictures(&self) -> impl Iterator<Item = &RgbPicture> {
        self.training.iter().chain(&self.held_out)
    }

    /// Those to judge by.
    pub fn held_out(&self) -> &[RgbPicture] {
        &self.held_out
    }

    /// Whether it has too few of them.
    pub fn is_empty(&self) -> bool {
        self.training.len() < FEWEST_PICTURES || self.held_out.len() < FEWEST_PICTURES
    }
}

/// How a detector does on the part of the film that is held out.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Judgement {
    /// The score at which it counts the number on average on the training pictures.
    pub threshold: f32,
    /// Animals on a held-out picture on average at that threshold.
    pub mean_count: f64,
    /// How far the count of a held-out picture is from the number, on average. What never moves isn't counted here: it stands in
    /// for an animal that is missed.
    pub error: f64,
    /// The share of what the detector before is sure of that this one finds.
    pub agreement: f64,
}

/// Why a film can't be learned from.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum Refusal {
    /// Nothing to learn, or the wrong number.
    #[error("{0} animals are none to learn from; name how many are in view, from 1 to {MOST_ANIMALS}")]
    Number(u32),
    /// The film is too short.
    #[error(
        "the film has {0} and {1} pictures to learn from and to judge by; at least {FEWEST_PICTURES} each are needed: take a longer film, or more of them"
    )]
    TooShort(usize, usize),
    /// It finds too few even of what it is hardly sure of.
    #[error(
        "even of what it is hardly sure of, the detector finds {mean:.1} animals on average, not {}; check the number, and whether the \
         pen is lit and in view",
        whole_or_tenths(*animals)
    )]
    TooFew {
        /// As named, on average.
        animals: f64,
        /// At the lowest threshold.
        mean: f64,
    },
    /// It is sure of more.
    #[error(
        "the detector is sure of {mean:.1} animals on average, more than {}; check the number",
        whole_or_tenths(*animals)
    )]
    TooMany {
        /// As named, on average.
        animals: f64,
        /// At the highest threshold.
        mean: f64,
    },
    /// The training failed.
    #[error(transparent)]
    Training(#[from] Error),
}

fn whole_or_tenths(number: f64) -> String {
    if number.fract() == 0.0 { number.to_string() } else { format!("{number:.1}") }
}

/// What a piece of work has done.
#[derive(Clone, Debug, PartialEq)]
pub enum Advance {
    /// The detector as it was, judged.
    Judged(Judgement),
    /// Labels for a round: how many for a picture on average.
    Labelled {
        /// From 1.
        round: u32,
        /// Boxes for a picture.
        boxes: f64,
    },
    /// A step was taken.
    Trained {
        /// From 1.
        round: u32,
        /// From 1.
        step: u32,
        /// Of the batch.
        loss: f32,
    },
    /// A round ended, and the detector was judged.
    Round {
        /// From 1.
        round: u32,
        /// How it does now; `None` if it doesn't find so many any more.
        judgement: Option<Judgement>,
    },
    /// All is done.
    Done,
}

/// The whole state, to go on with another day.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Saved {
    /// Rounds that ended.
    round: u32,
    before: Option<Judgement>,
    /// The weights that the round began with; empty in the first.
    weights: Vec<f32>,
    labels: Vec<Truth>,
    trainer: Option<TrainerState>,
    /// The best so far.
    best: Option<(Judgement, Vec<f32>)>,
}

/// See the module's head.
pub struct Adaptation {
    settings: Settings,
    threads: usize,
    start: Network,
    /// What the round began with.
    network: Network,
    saved: Saved,
    trainer: Option<Trainer>,
}

impl Adaptation {
    /// Begins, or goes on where `saved` was; a state of another network is left out.
    ///
    /// # Errors
    /// If the number or the film are none to learn from.
    pub fn new(
        start: Network,
        film: &Film,
        settings: Settings,
        saved: Option<Saved>,
        threads: usize,
    ) -> std::result::Result<Self, Refusal> {
        if film.is_empty() {
            let (training, held_out) = film.len();
            return Err(Refusal::TooShort(training, held_out));
        }
        // An empty pen teaches something too, beside pictures of animals.
        let most = film.animals().max().unwrap_or(0);
        if !(1..=MOST_ANIMALS).contains(&most) {
            return Err(Refusal::Number(most));
        }
        let saved = saved.unwrap_or_default();
        let network = start.with_weights(&saved.weights).unwrap_or_else(|| start.clone());
        let trainer = saved.trainer.clone().and_then(|state| Trainer::resume(&network, state));
        Ok(Self { settings, threads: threads.max(1), start, network, saved, trainer })
    }

    /// What another day needs.
    pub fn saved(&self) -> Saved {
        Saved { trainer: self.trainer.as_ref().map(Trainer::state), ..self.saved.clone() }
    }

    /// How the detector did before; `None` at the very beginning.
    pub fn before(&self) -> Option<Judgement> {
        self.saved.before
    }

    /// The adapted detector and how it does, its scores moved so that the usual threshold counts right; `None` if it isn't better than before.
    pub fn outcome(&self) -> Option<(Judgement, Network)> {
        let before = self.saved.before?;
        let (judgement, weights) = self.saved.best.as_ref()?;
        let is_better =
            judgement.error < before.error * (1.0 - LEAST_GAIN) && judgement.agreement >= LEAST_AGREEMENT;
        let mut network = self.start.with_weights(weights).filter(|_| is_better)?;
        network.move_scores(judgement.threshold, USUAL_THRESHOLD);
        Some((*judgement, network))
    }

    /// Steps taken, of all rounds.
    pub fn steps_done(&self) -> u32 {
        let of_round = self.trainer.as_ref().map_or(0, Trainer::step);
        self.saved.round * self.settings.steps + of_round
    }

    /// The best of the rounds, better than before or not.
    pub fn best(&self) -> Option<Judgement> {
        self.saved.best.as_ref().map(|(judgement, _)| *judgement)
    }

    /// Does the next piece of work.
    ///
    /// # Errors
    /// If the film can't be learned from.
    pub fn advance(&mut self, film: &Film) -> std::result::Result<Advance, Refusal> {
        if self.saved.before.is_none() {
            let judgement = self.judge(&self.start, film, THRESHOLDS)?;
            self.saved.before = Some(judgement);
            return Ok(Advance::Judged(judgement));
        }
        if self.saved.round >= self.settings.rounds {
            return Ok(Advance::Done);
        }
        let round = self.saved.round + 1;
        if self.saved.labels.is_empty() {
            let found = self.each(&film.training, |picture| detect_in_views(&self.network, picture));
            let stillness = Self::plausible_stillness(film, &found);
            let numbered = found.iter().zip(&film.training_animals);
            self.saved.labels =
                numbered.map(|(found, &animals)| labels(found, animals, &stillness)).collect();
            let boxes: usize = self.saved.labels.iter().map(|truth| truth.animals.len()).sum();
            return Ok(Advance::Labelled { round, boxes: boxes as f64 / film.training.len() as f64 });
        }
        let mut trainer = self.trainer.take().unwrap_or_else(|| Trainer::new(self.network.clone()));
        if trainer.step() < self.settings.steps {
            let batch = self.batch(film, round, trainer.step());
            let loss = trainer.train(batch, self.settings.steps, self.settings.rate, self.threads)?;
            let step = trainer.step();
            self.trainer = Some(trainer);
            return Ok(Advance::Trained { round, step, loss });
        }
        let mean = mean(&self.start, &trainer.into_average());
        let judgement = self.judge(&mean, film, 0.0..=1.0).ok();
        if let Some(judgement) = judgement
            && self.saved.best.as_ref().is_none_or(|(best, _)| judgement.error < best.error)
        {
            self.saved.best = Some((judgement, mean.weights()));
        }
        self.saved.weights = mean.weights();
        self.network = mean;
        self.saved.round = round;
        self.saved.labels.clear();
        Ok(Advance::Round { round, judgement })
    }

    /// The pictures of a step: they follow from the seed, the round and the step, so that it doesn't matter where a training was cut off.
    fn batch(&self, film: &Film, round: u32, step: u32) -> Vec<(FeatureMap, Truth)> {
        let position = u64::from(round) << 32 | u64::from(step);
        let mut random = Rng::with_seed(self.settings.seed ^ position.wrapping_mul(0x9E37_79B9_7F4A_7C15));
        let size = input_size(&film.training[0]);
        let normalisation = self.start.normalisation();
        let vary = |_| {
            let number = random.usize(0..film.training.len());
            varied(&film.training[number], &self.saved.labels[number], size, &normalisation, &mut random)
        };
        (0..self.settings.batch).map(vary).collect()
    }

    /// What never moves, unless that is so much of what the detector is sure of that it must be animals asleep. `found`: on the pictures to train on.
    fn plausible_stillness(film: &Film, found: &[Vec<Found>]) -> Stillness {
        let numbered = found.iter().zip(&film.training_animals);
        let sure = numbered.flat_map(|(found, &animals)| found.iter().take(animals as usize));
        let (mut still, mut all) = (0_usize, 0_usize);
        for one in sure {
            all += 1;
            still += usize::from(film.stillness.is_still(one.rect));
        }
        if still as f32 > MOST_STILL * all as f32 { Stillness::default() } else { film.stillness.clone() }
    }

    fn judge(
        &self,
        network: &Network,
        film: &Film,
        thresholds: RangeInclusive<f32>,
    ) -> std::result::Result<Judgement, Refusal> {
        let usual = |picture: &RgbPicture| detect(network, picture, USUAL_WIDTH, false);
        let training = self.each(&film.training, usual);
        let threshold = threshold(&training, &film.training_animals, &thresholds)?;
        let held_out = self.each(&film.held_out, usual);
        let stillness = Self::plausible_stillness(film, &training);
        let pictures = held_out.len() as f64;
        let (mut sum, mut off) = (0.0, 0.0);
        for (found, &animals) in held_out.iter().zip(&film.held_out_animals) {
            let counted: Vec<&Found> = found.iter().filter(|found| found.score >= threshold).collect();
            let still = counted.iter().filter(|found| stillness.is_still(found.rect)).count();
            sum += counted.len() as f64;
            off += ((counted.len() - still) as f64 - f64::from(animals)).abs();
        }
        Ok(Judgement {
            threshold,
            mean_count: sum / pictures,
            error: off / pictures,
            agreement: self.agreement(&held_out, threshold, film),
        })
    }

    /// The share of what the detector before is sure of on the held-out pictures that was found. What never moves doesn't count.
    fn agreement(&self, found: &[Vec<Found>], threshold: f32, film: &Film) -> f64 {
        let before = self.each(&film.held_out, |picture| detect(&self.start, picture, USUAL_WIDTH, false));
        let (mut sure, mut agreed) = (0_u32, 0_u32);
        for ((before, now), &animals) in before.iter().zip(found).zip(&film.held_out_animals) {
            let most = (animals as f32 * SURE_SHARE).round() as usize;
            for one in before.iter().take(most).filter(|one| !film.stillness.is_still(one.rect)) {
                sure += 1;
                let is_found = now.iter().any(|now| now.score >= threshold && now.rect.iou(one.rect) >= 0.5);
                agreed += u32::from(is_found);
            }
        }
        f64::from(agreed) / f64::from(sure.max(1))
    }

    /// Applies `work` to each picture, on all threads. Results are in the order of the pictures.
    fn each<T: Send>(&self, pictures: &[RgbPicture], work: impl Fn(&RgbPicture) -> T + Sync) -> Vec<T> {
        let part = pictures.len().div_ceil(self.threads).max(1);
        std::thread::scope(|scope| {
            let work = &work;
            let running: Vec<_> = pictures
                .chunks(part)
                .map(|some| scope.spawn(move || some.iter().map(work).collect::<Vec<T>>()))
                .collect();
            let join = |thread: std::thread::ScopedJoinHandle<'_, Vec<T>>| {
                thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
            };
            running.into_iter().flat_map(join).collect()
        })
    }
}

/// The usual input for a picture: px, sides of multiples of 32.
fn input_size(picture: &RgbPicture) -> (usize, usize) {
    let height = (picture.height * USUAL_WIDTH).div_ceil(picture.width.max(1));
    (USUAL_WIDTH, height.next_multiple_of(32))
}

/// The score at which as many animals are counted on average as there are on the pictures.
fn threshold(
    pictures: &[Vec<Found>],
    animals: &[u32],
    within: &RangeInclusive<f32>,
) -> std::result::Result<f32, Refusal> {
    let mut scores: Vec<f32> = pictures.iter().flatten().map(|found| found.score).collect();
    scores.sort_by(|a, b| b.total_cmp(a));
    let mean = |threshold: f32| {
        scores.iter().filter(|&&score| score >= threshold).count() as f64 / pictures.len().max(1) as f64
    };
    let wanted: usize = animals.iter().map(|&animals| animals as usize).sum();
    let animals = wanted as f64 / animals.len().max(1) as f64;
    let threshold = match (scores.get(wanted.saturating_sub(1)), scores.get(wanted)) {
        (Some(above), Some(below)) => (above + below) / 2.0,
        (Some(above), None) => *above,
        _ => return Err(Refusal::TooFew { animals, mean: mean(LEAST_SCORE) }),
    };
    if threshold < *within.start() {
        return Err(Refusal::TooFew { animals, mean: mean(*within.start()) });
    }
    if threshold > *within.end() {
        return Err(Refusal::TooMany { animals, mean: mean(*within.end()) });
    }
    Ok(threshold)
}

fn mean(one: &Network, other: &Network) -> Network {
    let mut mean = one.clone();
    for ((sum, _), more) in mean.parts_mut().zip(other.parts()) {
        sum.iter_mut().zip(more).for_each(|(sum, more)| *sum = (*sum + more) / 2.0);
    }
    mean
}
