//! Points, directions and colours in three dimensions.

use std::ops::{Add, Mul, Neg, Sub};

/// Metres in the pen (z up), a direction, or red, green and blue in linear light.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Vec3 {
    pub x: f32,
    pub y: f32,
    pub z: f32,
}

pub(super) const fn vec3(x: f32, y: f32, z: f32) -> Vec3 {
    Vec3 { x, y, z }
}

pub(super) const UP: Vec3 = vec3(0.0, 0.0, 1.0);

impl Vec3 {
    pub const fn splat(value: f32) -> Self {
        vec3(value, value, value)
    }

    /// A direction in the plane of the floor; `yaw` in radians from x towards y.
    pub fn heading(yaw: f32) -> Self {
        vec3(yaw.cos(), yaw.sin(), 0.0)
    }

    #[inline]
    pub fn dot(self, other: Self) -> f32 {
        self.x * other.x + self.y * other.y + self.z * other.z
    }

    #[inline]
    pub fn length(self) -> f32 {
        self.dot(self).sqrt()
    }

    #[inline]
    pub fn normalized(self) -> Self {
        self * (1.0 / self.length().max(1e-9))
    }

    pub fn cross(self, other: Self) -> Self {
        vec3(
            self.y * other.z - self.z * other.y,
            self.z * other.x - self.x * other.z,
            self.x * other.y - self.y * other.x,
        )
    }

    #[inline]
    pub fn lerp(self, other: Self, share: f32) -> Self {
        self * (1.0 - share) + other * share
    }

    pub fn luminance(self) -> f32 {
        0.3 * self.x + 0.59 * self.y + 0.11 * self.z
    }

    /// Rotated about z by the angle with this cosine and sine.
    #[inline]
    pub fn turned(self, cosine: f32, sine: f32) -> Self {
        vec3(self.x * cosine - self.y * sine, self.x * sine + self.y * cosine, self.z)
    }
}

impl Add for Vec3 {
    type Output = Self;
    #[inline]
    fn add(self, other: Self) -> Self {
        vec3(self.x + other.x, self.y + other.y, self.z + other.z)
    }
}

impl Sub for Vec3 {
    type Output = Self;
    #[inline]
    fn sub(self, other: Self) -> Self {
        vec3(self.x - other.x, self.y - other.y, self.z - other.z)
    }
}

impl Mul<f32> for Vec3 {
    type Output = Self;
    #[inline]
    fn mul(self, factor: f32) -> Self {
        vec3(self.x * factor, self.y * factor, self.z * factor)
    }
}

impl Mul for Vec3 {
    type Output = Self;
    #[inline]
    fn mul(self, other: Self) -> Self {
        vec3(self.x * other.x, self.y * other.y, self.z * other.z)
    }
}

impl Neg for Vec3 {
    type Output = Self;
    #[inline]
    fn neg(self) -> Self {
        self * -1.0
    }
}
