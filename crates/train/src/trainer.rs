//! Takes the steps: AdamW (Loshchilov and Hutter 2019) with a cosine rate, and an average of the weights along the way.

use crate::error::{Error, Result};
use crate::feature_map::FeatureMap;
use crate::loss::{Truth, loss};
use crate::network::{Gradients, Network};
use serde::{Deserialize, Serialize};

const FIRST_DECAY: f32 = 0.9;
const SECOND_DECAY: f32 = 0.999;
const WEIGHT_DECAY: f32 = 0.01;
/// Longer gradients are shortened to this.
const LONGEST_GRADIENT: f32 = 10.0;
/// The part of the steps in which the rate rises.
const WARM_UP: f32 = 0.05;
/// Of the average of the weights, a step.
const AVERAGE_DECAY: f32 = 0.98;

/// A training that goes on: everything but the pictures.
#[derive(Clone)]
pub struct Trainer {
    network: Network,
    average: Network,
    state: TrainerState,
}

/// What a training needs to go on where it was cut off, besides the network that it began with.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct TrainerState {
    /// Steps taken.
    pub step: u32,
    weights: Vec<f32>,
    average: Vec<f32>,
    first: Vec<f32>,
    second: Vec<f32>,
}

impl Trainer {
    /// Begins with a network.
    pub fn new(network: Network) -> Self {
        let count = network.parts().map(<[f32]>::len).sum();
        let state =
            TrainerState { first: vec![0.0; count], second: vec![0.0; count], ..TrainerState::default() };
        Self { average: network.clone(), network, state }
    }

    /// Goes on where another one was. `None` if the state is another network's.
    pub fn resume(network: &Network, state: TrainerState) -> Option<Self> {
        let (average, network) =
            (network.with_weights(&state.average)?, network.with_weights(&state.weights)?);
        let are_whole =
            [&state.first, &state.second].iter().all(|moments| moments.len() == state.weights.len());
        are_whole.then_some(Self { network, average, state })
    }

    /// What [`Self::resume`] needs.
    pub fn state(&self) -> TrainerState {
        TrainerState {
            weights: self.network.weights(),
            average: self.average.weights(),
            ..self.state.clone()
        }
    }

    /// Steps taken.
    pub fn step(&self) -> u32 {
        self.state.step
    }

    /// The average of the weights along the way: what is kept of a training.
    pub fn into_average(self) -> Network {
        self.average
    }

    /// One of `steps` steps over a batch, on `threads` threads. Returns the mean loss.
    ///
    /// # Errors
    /// If the numbers grow without bound.
    pub fn train(
        &mut self,
        batch: Vec<(FeatureMap, Truth)>,
        steps: u32,
        rate: f32,
        threads: usize,
    ) -> Result<f32> {
        let count = batch.len().max(1) as f32;
        let (lost, gradients) = self.gradients(batch, threads.max(1));
        let length = gradients.parts().flatten().map(|value| (value / count).powi(2)).sum::<f32>().sqrt();
        if !(length.is_finite() && lost.is_finite()) {
            return Err(Error::Diverged { step: self.state.step });
        }
        let factor = (LONGEST_GRADIENT / length.max(1e-12)).min(1.0) / count;
        let done = self.state.step as f32 / steps.max(1) as f32;
        let cosine = (1.0 + (std::f32::consts::PI * done).cos()) / 2.0;
        self.update(&gradients, factor, rate * (done / WARM_UP + 0.02).min(1.0) * (0.02 + 0.98 * cosine));
        Ok(lost / count)
    }

    /// The sums over a batch. Pictures are added in their order, so that the result doesn't depend on the number of threads.
    fn gradients(&self, batch: Vec<(FeatureMap, Truth)>, threads: usize) -> (f32, Gradients) {
        let network = &self.network;
        let (mut lost, mut sum) = (0.0, network.no_gradients());
        let mut waiting = batch.into_iter();
        loop {
            let some: Vec<_> = waiting.by_ref().take(threads).collect();
            if some.is_empty() {
                return (lost, sum);
            }
            let learn = |(input, truth): (FeatureMap, Truth)| {
                let mut gradients = network.no_gradients();
                let mut lost = 0.0;
                network.learn(input, &mut gradients, |outputs| {
                    let (value, of_outputs) = loss(outputs, &truth);
                    lost = value;
                    of_outputs
                });
                (lost, gradients)
            };
            let found: Vec<_> = std::thread::scope(|scope| {
                let running: Vec<_> = some.into_iter().map(|one| scope.spawn(move || learn(one))).collect();
                running.into_iter().map(|thread| thread.join()).collect()
            });
            for one in found {
                match one {
                    Ok((value, gradients)) => {
                        lost += value;
                        sum.add(&gradients);
                    }
                    Err(panic) => std::panic::resume_unwind(panic),
                }
            }
        }
    }

    fn update(&mut self, gradients: &Gradients, factor: f32, rate: f32) {
        self.state.step += 1;
        let step = self.state.step as i32;
        let (first_part, second_part) = (1.0 - FIRST_DECAY.powi(step), 1.0 - SECOND_DECAY.powi(step));
        let mut first = self.state.first.iter_mut();
        let mut second = self.state.second.iter_mut();
        for ((weights, is_decayed), gradient) in self.network.parts_mut().zip(gradients.parts()) {
            for (((weight, gradient), first), second) in
                weights.iter_mut().zip(gradient).zip(first.by_ref()).zip(second.by_ref())
            {
                let gradient = gradient * factor;
                *first += (1.0 - FIRST_DECAY) * (gradient - *first);
                *second += (1.0 - SECOND_DECAY) * (gradient * gradient - *second);
                if is_decayed {
                    *weight -= rate * WEIGHT_DECAY * *weight;
                }
                *weight -= rate * (*first / first_part) / ((*second / second_part).sqrt() + 1e-8);
            }
        }
        let share = (1.0 - AVERAGE_DECAY).max(10.0 / (self.state.step as f32 + 10.0));
        for ((average, _), weights) in self.average.parts_mut().zip(self.network.parts()) {
            average
                .iter_mut()
                .zip(weights)
                .for_each(|(average, weight)| *average += share * (weight - *average));
        }
    }
}
