//! Convolutions and their gradients, as products of matrices.
//!
//! The windows of the input are laid out as columns (im2col), so that a convolution is one product, its gradients two more.

use crate::feature_map::FeatureMap;
use ndarray::linalg::general_mat_mul;
use ndarray::{ArrayView2, ArrayViewMut2};
use std::ops::Range;

/// A convolution's numbers. Square windows of an odd side, padded with zeros by half of it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Convolution {
    pub outputs: usize,
    pub inputs: usize,
    /// 1 or 3.
    pub size: usize,
    pub stride: usize,
    /// Outputs × inputs × size × size.
    pub weight: Vec<f32>,
    pub bias: Vec<f32>,
}

/// The gradients of a convolution's numbers.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct ConvolutionGradient {
    pub weight: Vec<f32>,
    pub bias: Vec<f32>,
}

impl Convolution {
    fn output_size(&self, input: &FeatureMap) -> (usize, usize) {
        (input.height.div_ceil(self.stride), input.width.div_ceil(self.stride))
    }

    fn window(&self) -> usize {
        self.inputs * self.size * self.size
    }

    /// Whether the columns are the input itself.
    fn is_pointwise(&self) -> bool {
        self.size == 1 && self.stride == 1
    }

    pub fn forward(&self, input: &FeatureMap, columns: &mut Vec<f32>) -> FeatureMap {
        let (height, width) = self.output_size(input);
        let mut output = FeatureMap::zeros(self.outputs, height, width);
        for (channel, &bias) in self.bias.iter().enumerate() {
            output.channel_mut(channel).fill(bias);
        }
        let columns = self.columns(input, columns);
        general_mat_mul(
            1.0,
            &matrix(&self.weight, self.outputs, self.window()),
            &matrix(columns, self.window(), height * width),
            1.0,
            &mut matrix_mut(&mut output.data, self.outputs, height * width),
        );
        output
    }

    /// Adds to the gradients of weight and bias; returns that of the input if it is `wanted`.
    pub fn backward(
        &self,
        input: &FeatureMap,
        output: &FeatureMap,
        gradient: &mut ConvolutionGradient,
        wanted: bool,
        columns: &mut Vec<f32>,
    ) -> Option<FeatureMap> {
        let (height, width) = self.output_size(input);
        for (channel, sum) in gradient.bias.iter_mut().enumerate() {
            *sum += output.channel(channel).iter().sum::<f32>();
        }
        let of_output = matrix(&output.data, self.outputs, height * width);
        {
            let columns = self.columns(input, columns);
            general_mat_mul(
                1.0,
                &of_output,
                &matrix(columns, self.window(), height * width).reversed_axes(),
                1.0,
                &mut matrix_mut(&mut gradient.weight, self.outputs, self.window()),
            );
        }
        if !wanted {
            return None;
        }
        let weight = matrix(&self.weight, self.outputs, self.window()).reversed_axes();
        let mut of_input = input.zeros_like();
        if self.is_pointwise() {
            general_mat_mul(
                1.0,
                &weight,
                &of_output,
                1.0,
                &mut matrix_mut(&mut of_input.data, self.window(), height * width),
            );
        } else {
            columns.clear();
            columns.resize(self.window() * height * width, 0.0);
            general_mat_mul(
                1.0,
                &weight,
                &of_output,
                1.0,
                &mut matrix_mut(columns, self.window(), height * width),
            );
            self.add_columns(columns, &mut of_input);
        }
        Some(of_input)
    }

    /// The input's windows: window × places.
    fn columns<'a>(&self, input: &'a FeatureMap, columns: &'a mut Vec<f32>) -> &'a [f32] {
        if self.is_pointwise() {
            return &input.data;
        }
        let (height, width) = self.output_size(input);
        columns.clear();
        columns.resize(self.window() * height * width, 0.0);
        self.each_row(input, |start, tap, row, within| {
            let target = &mut columns[(tap * height + row) * width..][..width];
            if self.stride == 1 {
                let source = (start + within.start as isize) as usize;
                target[within.clone()].copy_from_slice(&input.data[source..source + within.len()]);
            } else {
                for column in within {
                    target[column] = input.data[(start + (column * self.stride) as isize) as usize];
                }
            }
        });
        columns
    }

    /// The other way: adds each window's numbers to the places that they came from.
    fn add_columns(&self, columns: &[f32], input: &mut FeatureMap) {
        let (height, width) = self.output_size(input);
        let size = FeatureMap {
            data: Vec::new(),
            channels: input.channels,
            height: input.height,
            width: input.width,
        };
        self.each_row(&size, |start, tap, row, within| {
            let values = &columns[(tap * height + row) * width..][..width];
            for column in within {
                input.data[(start + (column * self.stride) as isize) as usize] += values[column];
            }
        });
    }

    /// Calls `visit` for each tap of the window and each row of the output with: where in the input's numbers column 0 would be taken from
    /// (it may lie before the row, or before them all), the tap's number, the row, and the columns that are taken from inside the input.
    fn each_row(&self, input: &FeatureMap, mut visit: impl FnMut(isize, usize, usize, Range<usize>)) {
        let (height, width) = self.output_size(input);
        let padding = self.size / 2;
        for tap in 0..self.window() {
            let (channel, place) = (tap / (self.size * self.size), tap % (self.size * self.size));
            let (down, right) = (place / self.size, place % self.size);
            let from = padding.saturating_sub(right).div_ceil(self.stride);
            let to = (input.width + padding - right).div_ceil(self.stride).min(width);
            for row in 0..height {
                let source = row * self.stride + down;
                if source < padding || source - padding >= input.height {
                    continue;
                }
                let start = (channel * input.height + source - padding) * input.width + right;
                visit(start as isize - padding as isize, tap, row, from..to.max(from));
            }
        }
    }
}

fn matrix(data: &[f32], rows: usize, columns: usize) -> ArrayView2<'_, f32> {
    ArrayView2::from_shape((rows, columns), data).expect("the size is the product of its sides")
}

fn matrix_mut(data: &mut [f32], rows: usize, columns: usize) -> ArrayViewMut2<'_, f32> {
    ArrayViewMut2::from_shape((rows, columns), data).expect("the size is the product of its sides")
}
