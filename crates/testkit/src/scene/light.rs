//! How bright each place is, and the camera's own noise.

use super::Lighting;
use super::canvas::Canvas;
use crate::random::Random;

/// The light of a scene, fixed in time.
#[derive(Clone, Debug)]
pub(super) struct Light {
    /// Brightness of each pixel.
    levels: Vec<f32>,
    /// Where the lamp hangs, px: shadows fall away from it.
    pub(super) lamp: (f32, f32),
    lighting: Lighting,
}

impl Light {
    pub(super) fn new(lighting: Lighting, width: usize, height: usize, random: &mut Random) -> Self {
        let (wide, high) = (width as f32, height as f32);
        let lamp = match lighting {
            // Infrared lamps sit round the lens.
            Lighting::Infrared => (wide * 0.5, high * 0.5),
            Lighting::Daylight | Lighting::Lamp => {
                (wide * random.between(0.25, 0.75), high * random.between(0.1, 0.5))
            }
        };
        let level = |x: usize, y: usize| {
            let (x, y) = (x as f32 + 0.5, y as f32 + 0.5);
            let from_middle = ((x / wide - 0.5).powi(2) + (y / high - 0.5).powi(2)) / 0.5;
            let from_lamp = ((x - lamp.0).powi(2) + (y - lamp.1).powi(2)) / (wide * wide);
            match lighting {
                Lighting::Daylight => 1.02 - 0.16 * from_middle + 0.06 * (x / wide - 0.5),
                Lighting::Lamp => (0.5 + 0.75 * (-from_lamp / 0.045).exp()) * (1.0 - 0.35 * from_middle),
                Lighting::Infrared => 0.36 + 0.85 * (-from_lamp / 0.035).exp() - 0.12 * from_middle,
            }
        };
        let levels =
            (0..height).flat_map(|y| (0..width).map(move |x| (x, y))).map(|(x, y)| level(x, y)).collect();
        Self { levels, lamp, lighting }
    }

    pub(super) fn at(&self, pixel: usize) -> f32 {
        self.levels[pixel]
    }

    /// Lights what was painted as if in plain light.
    pub(super) fn shine_on(&self, canvas: &mut Canvas) {
        for (samples, level) in canvas.rgb.chunks_exact_mut(3).zip(&self.levels) {
            for sample in samples {
                *sample = (f32::from(*sample) * level + 0.5) as u8;
            }
        }
    }

    /// What the camera makes of the scene: grey under infrared, and noise.
    pub(super) fn develop(&self, canvas: &mut Canvas, noise: f32, mut random: Random) {
        let is_grey = self.lighting == Lighting::Infrared;
        // Little light, much gain.
        let noise = if is_grey { 4.0 * noise } else { noise };
        if !is_grey && noise <= 0.0 {
            return;
        }
        // Four pixels share the bits of one draw, two bytes each: a sum of two bytes is a triangle about its middle.
        for samples in canvas.rgb.chunks_mut(12) {
            let mut bits = random.bits();
            for pixel in samples.chunks_exact_mut(3) {
                let stray = ((bits & 255) as f32 + ((bits >> 8) & 255) as f32 - 255.0) / 255.0 * noise;
                bits >>= 16;
                if is_grey {
                    let luma =
                        0.35 * f32::from(pixel[0]) + 0.45 * f32::from(pixel[1]) + 0.2 * f32::from(pixel[2]);
                    pixel.fill((luma + stray + 0.5) as u8);
                } else {
                    for sample in pixel {
                        *sample = (f32::from(*sample) + stray + 0.5) as u8;
                    }
                }
            }
        }
    }
}
