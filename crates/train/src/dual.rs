//! Numbers with their derivatives by the four sides of a box, so that a loss is written once and its gradient follows.

use std::ops::{Add, Div, Mul, Sub};

/// A number and its derivatives.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Dual {
    pub value: f32,
    pub by: [f32; 4],
}

impl Dual {
    pub fn constant(value: f32) -> Self {
        Self { value, by: [0.0; 4] }
    }

    /// The side itself.
    pub fn side(value: f32, side: usize) -> Self {
        let mut by = [0.0; 4];
        by[side] = 1.0;
        Self { value, by }
    }

    pub fn max(self, other: Self) -> Self {
        if self.value >= other.value { self } else { other }
    }

    pub fn min(self, other: Self) -> Self {
        if self.value <= other.value { self } else { other }
    }

    pub fn atan(self) -> Self {
        let slope = 1.0 / (1.0 + self.value * self.value);
        Self { value: self.value.atan(), by: self.by.map(|by| by * slope) }
    }

    fn combine(self, other: Self, value: f32, mine: f32, its: f32) -> Self {
        let by = std::array::from_fn(|side| mine * self.by[side] + its * other.by[side]);
        Self { value, by }
    }
}

impl Add for Dual {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        self.combine(other, self.value + other.value, 1.0, 1.0)
    }
}

impl Sub for Dual {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        self.combine(other, self.value - other.value, 1.0, -1.0)
    }
}

impl Mul for Dual {
    type Output = Self;
    fn mul(self, other: Self) -> Self {
        self.combine(other, self.value * other.value, other.value, self.value)
    }
}

impl Div for Dual {
    type Output = Self;
    fn div(self, other: Self) -> Self {
        let value = self.value / other.value;
        self.combine(other, value, 1.0 / other.value, -value / other.value)
    }
}
