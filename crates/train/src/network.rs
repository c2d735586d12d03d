//! The detector's network: its shape, inference and gradients.

use crate::convolution::{Convolution, ConvolutionGradient};
use crate::error::{Error, Result};
use crate::feature_map::FeatureMap;
use crate::graph::Graph;
use crate::onnx::Model;
use std::collections::BTreeMap;

/// px of the input per place of each output, finest first.
pub const STRIDES: [usize; 3] = [8, 16, 32];
/// A side's distance is a distribution over so many steps of the stride.
pub const BINS: usize = 11;
/// Channels of an output: the score's log-odds, then the four sides' distributions: left, top, right, bottom.
pub const OUTPUT_CHANNELS: usize = 1 + 4 * BINS;
/// Blocks of each stage.
const BLOCKS: [usize; 4] = [1, 2, 2, 3];
/// The recipe leaves this entry in the file's metadata.
const RECIPE: &str = "pigweight.recipe";

/// A network, as read from its file.
#[derive(Clone, Debug, PartialEq)]
pub struct Network {
    convolutions: Vec<Convolution>,
    /// Of red, green and blue from 0 to 1: what they are multiplied by, and what is added then.
    normalisation: [(f32, f32); 3],
    /// The file adds this to the log-odds of every score.
    score_shift: f32,
}

/// Raw outputs: for each stride 45 channels × its places: the log-odds of the score, then the distributions of left, top, right and bottom.
pub struct Outputs {
    /// Finest first.
    pub levels: [FeatureMap; 3],
}

/// The gradients of all weights.
#[derive(Clone, Debug, PartialEq)]
pub struct Gradients(Vec<ConvolutionGradient>);

impl Gradients {
    /// Adds another picture's.
    pub fn add(&mut self, other: &Self) {
        for (sum, more) in self.0.iter_mut().zip(&other.0) {
            for (sum, more) in [(&mut sum.weight, &more.weight), (&mut sum.bias, &more.bias)] {
                sum.iter_mut().zip(more).for_each(|(sum, more)| *sum += more);
            }
        }
    }

    /// Each convolution's weights, then its biases, in the network's order.
    pub fn parts(&self) -> impl Iterator<Item = &[f32]> {
        self.0.iter().flat_map(|gradient| [&gradient.weight[..], &gradient.bias[..]])
    }
}

/// One convolution in the order of the network: its name in the file, its stride, and whether an activation follows.
struct Place {
    name: String,
    stride: usize,
    is_active: bool,
}

fn places() -> Vec<Place> {
    let mut places = Vec::new();
    let mut place = |name: String, stride, is_active| places.push(Place { name, stride, is_active });
    place("detector.stem.convolution".to_owned(), 2, true);
    for (stage, blocks) in BLOCKS.into_iter().enumerate() {
        let at = |part: &str| format!("detector.stages.{stage}.{part}.convolution");
        place(at("first"), if stage == 0 { 1 } else { 2 }, true);
        for block in 0..blocks {
            place(at(&format!("reduce.{block}")), 1, true);
            place(at(&format!("refine.{block}")), 1, true);
        }
        place(at("last"), 1, true);
        if stage > 0 {
            place(format!("detector.laterals.{}.convolution", stage - 1), 1, false);
        }
    }
    for level in 0..STRIDES.len() {
        place(format!("detector.towers.{level}.convolution"), 1, true);
        place(format!("detector.heads.{level}"), 1, false);
    }
    places
}

impl Network {
    /// Reads the detector that ships, or one that the recipe or this crate wrote.
    ///
    /// # Errors
    /// If it is another network.
    pub fn read(file: &[u8]) -> Result<Self> {
        let model = Model::read(file)?;
        if model.metadata(RECIPE).is_none() {
            return Err(Error::OtherNetwork { reason: format!("its metadata have no {RECIPE}") });
        }
        let mut tensors = BTreeMap::new();
        for tensor in model.initializers()? {
            if let Some(numbers) = tensor.floats() {
                tensors.insert(tensor.name.trim_end_matches(".half").to_owned(), (tensor.dims, numbers));
            }
        }
        let mut take = |name: &str, sides: usize| {
            let (dims, numbers) = tensors.remove(name).ok_or_else(|| other(format!("it has no {name}")))?;
            let sizes: Vec<usize> = dims.iter().filter_map(|&dim| usize::try_from(dim).ok()).collect();
            if sizes.len() != sides || sizes.iter().product::<usize>() != numbers.len() {
                return Err(other(format!("{name} has the shape {dims:?} and {} numbers", numbers.len())));
            }
            Ok((sizes, numbers))
        };
        let mut convolutions = Vec::new();
        for Place { name, stride, .. } in places() {
            let (sizes, weight) = take(&format!("{name}.weight"), 4)?;
            let (_, bias) = take(&format!("{name}.bias"), 1)?;
            let [outputs, inputs, size, width] = sizes[..] else { return Err(other(name)) };
            if size != width || !matches!(size, 1 | 3) || bias.len() != outputs {
                return Err(other(format!("{name} is {size} × {width} with {} biases", bias.len())));
            }
            convolutions.push(Convolution { outputs, inputs, size, stride, weight, bias });
        }
        let (_, factors) = take("scale", 4)?;
        let (_, shifts) = take("shift", 4)?;
        let (&[a, b, c], &[d, e, f]) = (&factors[..], &shifts[..]) else {
            return Err(other("its input has not three channels".to_owned()));
        };
        let network =
            Self { convolutions, normalisation: [(a, d), (b, e), (c, f)], score_shift: score_shift(&model)? };
        network.check()?;
        Ok(network)
    }

    /// Whether each convolution takes what those before it give.
    fn check(&self) -> Result<()> {
        let mut convolutions = self.convolutions.iter().zip(places());
        let mut next = |inputs: usize| match convolutions.next() {
            Some((found, _)) if found.inputs == inputs => Ok(found.outputs),
            Some((found, place)) => {
                Err(other(format!("{} takes {} channels, not {inputs}", place.name, found.inputs)))
            }
            None => Err(other("convolutions are missing".to_owned())),
        };
        let mut width = next(3)?;
        let mut neck = None;
        for (stage, blocks) in BLOCKS.into_iter().enumerate() {
            let first = next(width)?;
            let mut inner = first;
            for _ in 0..blocks {
                let reduced = next(inner)?;
                inner = reduced + next(reduced)?;
            }
            width = first + next(inner)?;
            if stage > 0 {
                let lateral = next(width)?;
                if *neck.get_or_insert(lateral) != lateral {
                    return Err(other("the neck's levels differ in width".to_owned()));
                }
            }
        }
        for _ in STRIDES {
            let tower = next(neck.unwrap_or_default())?;
            if next(tower)? != OUTPUT_CHANNELS {
                return Err(other(format!("its outputs have not {OUTPUT_CHANNELS} channels")));
            }
        }
        Ok(())
    }

    /// The same file with this network's weights, and with further metadata.
    ///
    /// # Errors
    /// If `file` isn't the one that the network was read from.
    pub fn write(&self, file: &[u8], metadata: &[(&str, String)]) -> Result<Vec<u8>> {
        let mut model = Model::read(file)?;
        let mut parts = BTreeMap::new();
        for (place, convolution) in places().into_iter().zip(&self.convolutions) {
            parts.insert(format!("{}.weight", place.name), &convolution.weight);
            parts.insert(format!("{}.bias", place.name), &convolution.bias);
        }
        let mut written = 0;
        model.change_initializers(|tensor| {
            if let Some(numbers) = parts.get(tensor.name.trim_end_matches(".half")) {
                tensor.set_floats(numbers);
                written += 1;
            }
        })?;
        if written != parts.len() {
            return Err(other(format!("{written} of {} weights are there", parts.len())));
        }
        for (key, value) in metadata {
            model.set_metadata(key, value);
        }
        Ok(model.write())
    }

    /// An entry of a file's metadata.
    ///
    /// # Errors
    /// If it is no ONNX file.
    pub fn metadata(file: &[u8], key: &str) -> Result<Option<String>> {
        Ok(Model::read(file)?.metadata(key))
    }

    /// What is multiplied to each of red, green and blue (0 to 1), and what is added then.
    pub fn normalisation(&self) -> [(f32, f32); 3] {
        self.normalisation
    }

    /// The score that programs see for these log-odds.
    pub fn score(&self, log_odds: f32) -> f32 {
        1.0 / (1.0 + (-(log_odds + self.score_shift)).exp())
    }

    /// Moves all scores so that boxes of score `from` get `to`. Their order stays.
    pub fn move_scores(&mut self, from: f32, to: f32) {
        let log_odds = |score: f32| (score / (1.0 - score)).ln();
        let by = log_odds(to) - log_odds(from);
        let first_head = self.convolutions.len() - 2 * STRIDES.len() + 1;
        for level in 0..STRIDES.len() {
            self.convolutions[first_head + 2 * level].bias[0] += by;
        }
    }

    /// Infers one picture: 3 × height × width, normalised; sides are multiples of 32 px.
    pub fn infer(&self, input: FeatureMap) -> Outputs {
        let (mut graph, outputs) = self.forward(input);
        Outputs { levels: outputs.map(|number| graph.take(number)) }
    }

    /// Infers one picture and goes back: `judge` gets the outputs and returns their gradients. Adds to `gradients`.
    pub fn learn(
        &self,
        input: FeatureMap,
        gradients: &mut Gradients,
        judge: impl FnOnce(&Outputs) -> Outputs,
    ) {
        let (graph, outputs) = self.forward(input);
        let raw = Outputs { levels: outputs.map(|number| graph.map(number).clone()) };
        let of_outputs = outputs.into_iter().zip(judge(&raw).levels).collect();
        graph.backward(of_outputs, &mut gradients.0);
    }

    fn forward(&self, input: FeatureMap) -> (Graph<'_>, [usize; 3]) {
        let places = places();
        let mut graph = Graph::new(&self.convolutions, input);
        let mut number = 0;
        let mut next = |graph: &mut Graph<'_>, input| {
            number += 1;
            graph.convolution(number - 1, input, places[number - 1].is_active)
        };
        let stem = next(&mut graph, 0);
        let mut x = graph.max_pool(stem);
        let mut levels = Vec::new();
        for (stage, blocks) in BLOCKS.into_iter().enumerate() {
            let first = next(&mut graph, x);
            x = first;
            for _ in 0..blocks {
                let reduced = next(&mut graph, x);
                let refined = next(&mut graph, reduced);
                x = graph.concatenation(refined, reduced);
            }
            let last = next(&mut graph, x);
            x = graph.concatenation(last, first);
            if stage > 0 {
                levels.push(next(&mut graph, x));
            }
        }
        let (fine, middle, coarse) = (levels[0], levels[1], levels[2]);
        let doubled = graph.doubled(coarse);
        let middle = graph.sum(middle, doubled);
        let doubled = graph.doubled(middle);
        let fine = graph.sum(fine, doubled);
        let halved = graph.halved(fine);
        let middle = graph.sum(middle, halved);
        let halved = graph.halved(middle);
        let coarse = graph.sum(coarse, halved);
        let outputs = [fine, middle, coarse].map(|level| {
            let tower = next(&mut graph, level);
            next(&mut graph, tower)
        });
        (graph, outputs)
    }

    /// Gradients, all zero.
    pub fn no_gradients(&self) -> Gradients {
        let zeros = |convolution: &Convolution| ConvolutionGradient {
            weight: vec![0.0; convolution.weight.len()],
            bias: vec![0.0; convolution.bias.len()],
        };
        Gradients(self.convolutions.iter().map(zeros).collect())
    }

    /// Each convolution's weights, then its biases, in the network's order; and whether they are weights.
    pub fn parts_mut(&mut self) -> impl Iterator<Item = (&mut [f32], bool)> {
        self.convolutions
            .iter_mut()
            .flat_map(|convolution| [(&mut convolution.weight[..], true), (&mut convolution.bias[..], false)])
    }

    /// All weights and biases, one after the other in the network's order.
    pub fn weights(&self) -> Vec<f32> {
        self.parts().flatten().copied().collect()
    }

    /// The same network with these weights, as [`Self::weights`] gives them; `None` if they are another network's.
    pub fn with_weights(&self, weights: &[f32]) -> Option<Self> {
        let mut network = self.clone();
        let mut rest = weights;
        for (part, _) in network.parts_mut() {
            let (front, back) = rest.split_at_checked(part.len())?;
            part.copy_from_slice(front);
            rest = back;
        }
        rest.is_empty().then_some(network)
    }

    /// As [`Self::parts_mut`].
    pub fn parts(&self) -> impl Iterator<Item = &[f32]> {
        self.convolutions.iter().flat_map(|convolution| [&convolution.weight[..], &convolution.bias[..]])
    }
}

fn other(reason: String) -> Error {
    Error::OtherNetwork { reason }
}

/// The recipe's export adds a constant to the scores' log-odds, so that the best threshold is the usual one.
fn score_shift(model: &Model) -> Result<f32> {
    let nodes = model.nodes()?;
    let maker = |name: &str| nodes.iter().find(|node| node.output.iter().any(|output| output == name));
    let sigmoid = nodes.iter().find(|node| node.op_type == "Sigmoid");
    let sum = sigmoid.and_then(|node| maker(node.input.first()?)).filter(|node| node.op_type == "Add");
    let constants = sum.into_iter().flat_map(|sum| &sum.input).filter_map(|input| maker(input));
    let tensors = constants
        .filter(|node| node.op_type == "Constant")
        .filter_map(|node| node.attribute.first()?.tensor.clone());
    match tensors.filter_map(|tensor| tensor.floats()).next().as_deref() {
        Some(&[shift]) => Ok(shift),
        _ => Err(other("its scores are not made as the recipe makes them".to_owned())),
    }
}

impl Outputs {
    /// Of the same size, all zero.
    pub fn zeros_like(&self) -> Self {
        Self { levels: [0, 1, 2].map(|level: usize| self.levels[level].zeros_like()) }
    }
}
