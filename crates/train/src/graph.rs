//! What an inference leaves behind: every map and the operation that made it, so that gradients can go back the same way.

use crate::convolution::{Convolution, ConvolutionGradient};
use crate::feature_map::FeatureMap;

/// Slope of the activation (LeakyReLU) for negative numbers.
const SLOPE: f32 = 0.1;

/// How a map was made. Numbers are those of earlier maps.
enum Operation {
    /// The picture.
    Input,
    Convolution {
        /// Which of the network's.
        convolution: usize,
        input: usize,
        is_active: bool,
    },
    /// The greatest of 3 × 3 at every second place; of each the index in the input's numbers.
    MaxPool {
        input: usize,
        greatest: Vec<u32>,
    },
    Concatenation {
        first: usize,
        second: usize,
    },
    Sum {
        first: usize,
        second: usize,
    },
    Doubled {
        input: usize,
    },
    Halved {
        input: usize,
    },
}

/// See the module's head.
pub(crate) struct Graph<'a> {
    convolutions: &'a [Convolution],
    maps: Vec<FeatureMap>,
    operations: Vec<Operation>,
    columns: Vec<f32>,
}

impl<'a> Graph<'a> {
    /// Begins with the picture, which is map 0.
    pub fn new(convolutions: &'a [Convolution], input: FeatureMap) -> Self {
        Self { convolutions, maps: vec![input], operations: vec![Operation::Input], columns: Vec::new() }
    }

    /// A map.
    pub fn map(&self, number: usize) -> &FeatureMap {
        &self.maps[number]
    }

    /// Takes a map out, which no gradient goes through any more.
    pub fn take(&mut self, number: usize) -> FeatureMap {
        std::mem::take(&mut self.maps[number])
    }

    fn push(&mut self, map: FeatureMap, operation: Operation) -> usize {
        self.maps.push(map);
        self.operations.push(operation);
        self.maps.len() - 1
    }

    /// A convolution, with LeakyReLU if it is active.
    pub fn convolution(&mut self, convolution: usize, input: usize, is_active: bool) -> usize {
        let mut output = self.convolutions[convolution].forward(&self.maps[input], &mut self.columns);
        if is_active {
            output.data.iter_mut().for_each(|value| *value = value.max(*value * SLOPE));
        }
        self.push(output, Operation::Convolution { convolution, input, is_active })
    }

    /// The greatest of 3 × 3 at every second place.
    pub fn max_pool(&mut self, input: usize) -> usize {
        let map = &self.maps[input];
        let (height, width) = (map.height.div_ceil(2), map.width.div_ceil(2));
        let mut output = FeatureMap::zeros(map.channels, height, width);
        let mut greatest = Vec::with_capacity(output.data.len());
        for (place, value) in output.data.iter_mut().enumerate() {
            let (channel, row, column) = (place / (height * width), place / width % height, place % width);
            let mut best = None;
            for y in (2 * row).saturating_sub(1)..(2 * row + 2).min(map.height) {
                for x in (2 * column).saturating_sub(1)..(2 * column + 2).min(map.width) {
                    let index = (channel * map.height + y) * map.width + x;
                    if best.is_none_or(|best: usize| map.data[best] < map.data[index]) {
                        best = Some(index);
                    }
                }
            }
            let best = best.unwrap_or_default();
            *value = map.data[best];
            greatest.push(best as u32);
        }
        self.push(output, Operation::MaxPool { input, greatest })
    }

    /// The channels of both.
    pub fn concatenation(&mut self, first: usize, second: usize) -> usize {
        let (one, other) = (&self.maps[first], &self.maps[second]);
        let data = one.data.iter().chain(&other.data).copied().collect();
        let output = FeatureMap {
            channels: one.channels + other.channels,
            data,
            height: one.height,
            width: one.width,
        };
        self.push(output, Operation::Concatenation { first, second })
    }

    /// The sum of two of the same size.
    pub fn sum(&mut self, first: usize, second: usize) -> usize {
        let mut output = self.maps[first].clone();
        output.add(&self.maps[second]);
        self.push(output, Operation::Sum { first, second })
    }

    /// Twice as large, bilinear between the centres of pixels.
    pub fn doubled(&mut self, input: usize) -> usize {
        let map = &self.maps[input];
        let mut output = FeatureMap::zeros(map.channels, 2 * map.height, 2 * map.width);
        each_doubled(map, |from, to, weight| output.data[to] += weight * map.data[from]);
        self.push(output, Operation::Doubled { input })
    }

    /// Half as large: the mean of 2 × 2, which is what bilinear sampling between the centres gives.
    pub fn halved(&mut self, input: usize) -> usize {
        let map = &self.maps[input];
        let mut output = FeatureMap::zeros(map.channels, map.height / 2, map.width / 2);
        each_halved(map, |from, to| output.data[to] += 0.25 * map.data[from]);
        self.push(output, Operation::Halved { input })
    }

    /// Goes back from the gradients of some maps; adds to those of the convolutions.
    pub fn backward(mut self, of_maps: Vec<(usize, FeatureMap)>, gradients: &mut [ConvolutionGradient]) {
        let mut waiting: Vec<Option<FeatureMap>> = self.maps.iter().map(|_| None).collect();
        for (number, gradient) in of_maps {
            add_to(&mut waiting[number], gradient);
        }
        for number in (1..self.operations.len()).rev() {
            let Some(mut gradient) = waiting[number].take() else { continue };
            match &self.operations[number] {
                Operation::Input => {}
                &Operation::Convolution { convolution, input, is_active } => {
                    if is_active {
                        for (gradient, &output) in gradient.data.iter_mut().zip(&self.maps[number].data) {
                            *gradient *= if output > 0.0 { 1.0 } else { SLOPE };
                        }
                    }
                    let of_input = self.convolutions[convolution].backward(
                        &self.maps[input],
                        &gradient,
                        &mut gradients[convolution],
                        input > 0,
                        &mut self.columns,
                    );
                    if let Some(of_input) = of_input {
                        add_to(&mut waiting[input], of_input);
                    }
                }
                Operation::MaxPool { input, greatest } => {
                    let mut of_input = self.maps[*input].zeros_like();
                    for (&place, value) in greatest.iter().zip(&gradient.data) {
                        of_input.data[place as usize] += value;
                    }
                    add_to(&mut waiting[*input], of_input);
                }
                &Operation::Concatenation { first, second } => {
                    let mut of_first = self.maps[first].zeros_like();
                    let mut of_second = self.maps[second].zeros_like();
                    let (front, back) = gradient.data.split_at(of_first.data.len());
                    of_first.data.copy_from_slice(front);
                    of_second.data.copy_from_slice(back);
                    add_to(&mut waiting[first], of_first);
                    add_to(&mut waiting[second], of_second);
                }
                &Operation::Sum { first, second } => {
                    add_to(&mut waiting[first], gradient.clone());
                    add_to(&mut waiting[second], gradient);
                }
                &Operation::Doubled { input } => {
                    let mut of_input = self.maps[input].zeros_like();
                    each_doubled(&self.maps[input], |from, to, weight| {
                        of_input.data[from] += weight * gradient.data[to];
                    });
                    add_to(&mut waiting[input], of_input);
                }
                &Operation::Halved { input } => {
                    let mut of_input = self.maps[input].zeros_like();
                    each_halved(&self.maps[input], |from, to| {
                        of_input.data[from] += 0.25 * gradient.data[to];
                    });
                    add_to(&mut waiting[input], of_input);
                }
            }
            // Whoever made it is done with it.
            self.maps[number] = FeatureMap { data: Vec::new(), ..std::mem::take(&mut self.maps[number]) };
        }
    }
}

fn add_to(waiting: &mut Option<FeatureMap>, gradient: FeatureMap) {
    match waiting {
        Some(sum) => sum.add(&gradient),
        None => *waiting = Some(gradient),
    }
}

/// Calls `visit` with each pair of places that a doubling joins and its weight: 3/4 of the nearer and 1/4 of the farther on each axis.
fn each_doubled(small: &FeatureMap, mut visit: impl FnMut(usize, usize, f32)) {
    let (height, width) = (small.height, small.width);
    let taps = |at: usize, limit: usize| {
        let near = at / 2;
        let far = if at.is_multiple_of(2) { near.saturating_sub(1) } else { (near + 1).min(limit - 1) };
        [(near, 0.75), (far, 0.25)]
    };
    for channel in 0..small.channels {
        for row in 0..2 * height {
            for column in 0..2 * width {
                let to = (channel * 2 * height + row) * 2 * width + column;
                for (y, down) in taps(row, height) {
                    for (x, right) in taps(column, width) {
                        visit((channel * height + y) * width + x, to, down * right);
                    }
                }
            }
        }
    }
}

/// Calls `visit` with each place of the large map and the place of the small one that it is a quarter of.
fn each_halved(large: &FeatureMap, mut visit: impl FnMut(usize, usize)) {
    let (height, width) = (large.height / 2, large.width / 2);
    for channel in 0..large.channels {
        for row in 0..2 * height {
            for column in 0..2 * width {
                let from = (channel * large.height + row) * large.width + column;
                visit(from, (channel * height + row / 2) * width + column / 2);
            }
        }
    }
}
