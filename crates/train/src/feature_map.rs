//! Feature maps: channels × height × width numbers.

/// Channels × height × width numbers, channel by channel, row by row.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FeatureMap {
    /// Number of channels.
    pub channels: usize,
    /// Rows.
    pub height: usize,
    /// Columns.
    pub width: usize,
    /// The numbers.
    pub data: Vec<f32>,
}

impl FeatureMap {
    /// All zero.
    pub fn zeros(channels: usize, height: usize, width: usize) -> Self {
        Self { channels, height, width, data: vec![0.0; channels * height * width] }
    }

    /// Of the same size, all zero.
    pub fn zeros_like(&self) -> Self {
        Self::zeros(self.channels, self.height, self.width)
    }

    /// Numbers per channel.
    pub fn area(&self) -> usize {
        self.height * self.width
    }

    /// One channel.
    pub fn channel(&self, channel: usize) -> &[f32] {
        &self.data[channel * self.area()..(channel + 1) * self.area()]
    }

    /// One channel.
    pub fn channel_mut(&mut self, channel: usize) -> &mut [f32] {
        let area = self.area();
        &mut self.data[channel * area..(channel + 1) * area]
    }

    /// Adds another one of the same size.
    pub fn add(&mut self, other: &Self) {
        for (sum, value) in self.data.iter_mut().zip(&other.data) {
            *sum += value;
        }
    }
}
