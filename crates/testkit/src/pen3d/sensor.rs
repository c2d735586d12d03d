//! Camera simulation: exposure, infrared, lens, dirt, noise, a clock in the corner.

use super::digits;
use super::light::Kind;
use super::vector::{Vec3, vec3};
use crate::random::Random;

/// A picture between two steps of the simulation.
pub(super) struct Frame<'a> {
    pub width: usize,
    pub height: usize,
    pub light: Vec<Vec3>,
    /// Px inside the polygon are black.
    pub is_masked: &'a [bool],
}

impl Frame<'_> {
    /// Red, green and blue of all px.
    pub fn develop(mut self, random: &mut Random, kind: Kind) -> Vec<u8> {
        self.expose(random, kind);
        self.dirty(random);
        self.soften(random);
        let mut pixels = self.quantize(random, kind);
        self.burn_in(random, &mut pixels);
        pixels
    }

    fn shares(&self, place: usize) -> (f32, f32) {
        let (x, y) = (place % self.width, place / self.width);
        (x as f32 / self.width as f32 - 0.5, y as f32 / self.height as f32 - 0.5)
    }

    /// Exposure: linear light to 0 to 255 by the brightness of the scene.
    fn expose(&mut self, random: &mut Random, kind: Kind) {
        let seen = self.light.iter().zip(self.is_masked).filter(|(_, is_masked)| !**is_masked);
        let mut brightness: Vec<f32> = seen.map(|(light, _)| light.luminance()).collect();
        brightness.sort_by(f32::total_cmp);
        let part = |share: f32| {
            let place = (brightness.len() as f32 * share) as usize;
            brightness.get(place).copied().unwrap_or(1.0).max(1e-4)
        };
        let exposure = (random.between(0.5, 0.98) / part(0.93)).min(random.between(0.33, 0.75) / part(0.5));
        let is_infrared = kind == Kind::Infrared;
        let vignette = if is_infrared { random.between(0.1, 0.65) } else { random.between(0.0, 0.3) };
        let (saturation, contrast) = (random.between(0.4, 1.2), random.between(0.0, 0.3));
        let lift = if random.chance(0.35) { random.between(0.0, 0.12) } else { 0.0 };
        let cast = vec3(1.0 + 0.06 * random.normal(), 1.0, 1.0 + 0.06 * random.normal());
        // Infrared lamps overexpose what is near.
        let spot = (is_infrared && random.chance(0.35)).then(|| {
            let place = (random.between(-0.6, 0.6), random.between(-0.6, 0.6));
            (place, random.between(0.02, 0.12), random.between(0.4, 3.0), random.between(-1.0, 1.0))
        });
        for place in 0..self.light.len() {
            if self.is_masked[place] {
                self.light[place] = Vec3::default();
                continue;
            }
            let (x, y) = self.shares(place);
            let mut light =
                self.light[place] * (exposure * (1.0 - 2.2 * vignette * (x * x + y * y)).max(0.08));
            if is_infrared {
                light = Vec3::splat(0.75 * light.x + 0.2 * light.y + 0.05 * light.z);
            } else {
                light = light * cast;
                light = Vec3::splat(light.luminance()).lerp(light, saturation);
            }
            if let Some(((left, top), size, strength, slant)) = spot {
                let (right, down) = (x - left, y - top);
                let across = right + slant * down;
                let along = 0.35 * (down - slant * right);
                light = light
                    + Vec3::splat(strength * (-(across * across + along * along) / (size * size)).exp());
            }
            let tone = |value: f32| {
                let value = value.max(0.0);
                let value =
                    if value > 0.7 { 0.7 + 0.3 * (1.0 - (-(value - 0.7) / 0.3).exp()) } else { value };
                let gamma = value.powf(1.0 / 2.2);
                let curve = gamma * (1.0 - contrast) + contrast * gamma * gamma * (3.0 - 2.0 * gamma);
                255.0 * (lift + (1.0 - lift) * curve)
            };
            self.light[place] = vec3(tone(light.x), tone(light.y), tone(light.z));
        }
    }

    /// Dust and flies on the lens, cobwebs in front of it.
    fn dirty(&mut self, random: &mut Random) {
        if random.chance(0.3) {
            for _ in 0..1 + random.below(9) {
                let (x, y) = (random.unit() * self.width as f32, random.unit() * self.height as f32);
                let (size, strength) = (random.between(2.0, 22.0), random.between(-0.35, 0.25));
                self.blot((x, y), size, |share, color| color * (1.0 + strength * share));
            }
        }
        if random.chance(0.12) {
            for _ in 0..1 + random.below(5) {
                let (mut x, mut y) = (random.unit() * self.width as f32, random.unit() * self.height as f32);
                let mut heading = random.between(0.0, std::f32::consts::TAU);
                let (shade, size) = (random.between(90.0, 220.0), random.between(0.8, 2.6));
                let strength = random.between(0.05, 0.4);
                for _ in 0..random.below(240) {
                    heading += 0.05 * random.normal();
                    (x, y) = (x + heading.cos(), y + heading.sin());
                    self.blot((x, y), size, |share, color| color.lerp(Vec3::splat(shade), strength * share));
                }
            }
        }
    }

    /// Changes the px around a point, less with distance.
    fn blot(&mut self, (x, y): (f32, f32), size: f32, change: impl Fn(f32, Vec3) -> Vec3) {
        let range = |at: f32, limit: usize| {
            ((at - 2.0 * size).max(0.0) as usize).min(limit)
                ..((at + 2.0 * size + 1.0).max(0.0) as usize).min(limit)
        };
        for row in range(y, self.height) {
            for column in range(x, self.width) {
                let place = row * self.width + column;
                let away = (column as f32 - x).hypot(row as f32 - y) / size;
                if !self.is_masked[place] {
                    self.light[place] = change((-away * away * 1.5).exp(), self.light[place]);
                }
            }
        }
    }

    /// Defocus, motion blur, sharpening.
    fn soften(&mut self, random: &mut Random) {
        let mut sigma = random.between(0.3, 1.0);
        if random.chance(0.08) {
            sigma += random.between(0.4, 1.6);
        }
        self.light = blurred(&self.light, self.width, self.height, sigma);
        if random.chance(0.06) {
            let (heading, length) = (random.between(0.0, std::f32::consts::TAU), random.between(2.0, 7.0));
            self.light = self.smeared(heading, length);
        }
        if random.chance(0.5) {
            let soft = blurred(&self.light, self.width, self.height, 1.3);
            let strength = random.between(0.2, 0.9);
            for (sharp, soft) in self.light.iter_mut().zip(soft) {
                *sharp = *sharp + (*sharp - soft) * strength;
            }
        }
    }

    fn smeared(&self, heading: f32, length: f32) -> Vec<Vec3> {
        const SAMPLES: usize = 7;
        let at = |x: f32, y: f32| {
            let column = x.clamp(0.0, (self.width - 1) as f32) as usize;
            let row = y.clamp(0.0, (self.height - 1) as f32) as usize;
            self.light[row * self.width + column]
        };
        let of_place = |place: usize| {
            let (x, y) = ((place % self.width) as f32 + 0.5, (place / self.width) as f32 + 0.5);
            let sum = (0..SAMPLES).fold(Vec3::default(), |sum, number| {
                let away = length * (number as f32 / (SAMPLES - 1) as f32 - 0.5);
                sum + at(x + heading.cos() * away, y + heading.sin() * away)
            });
            sum * (1.0 / SAMPLES as f32)
        };
        (0..self.light.len()).map(of_place).collect()
    }

    fn quantize(&self, random: &mut Random, kind: Kind) -> Vec<u8> {
        let strength = random.between(0.4, 6.0) * if kind == Kind::Infrared { 1.3 } else { 1.0 };
        let chroma = if kind == Kind::Infrared { 0.0 } else { 0.45 * strength };
        let mut pixels = Vec::with_capacity(3 * self.light.len());
        for (color, is_masked) in self.light.iter().zip(self.is_masked) {
            let seen = if *is_masked { 0.0 } else { 1.0 };
            let grain = strength * random.normal();
            for value in [color.x, color.y, color.z] {
                let own = if chroma > 0.0 { chroma * random.normal() } else { 0.0 };
                pixels.push((value + seen * (grain + own)).clamp(0.0, 255.0) as u8);
            }
        }
        pixels
    }

    /// The overlay: a clock and the name of the camera.
    fn burn_in(&self, random: &mut Random, pixels: &mut [u8]) {
        if random.chance(0.65) {
            return;
        }
        let two = |random: &mut Random, count: usize| 1 + random.below(count);
        let date = format!("20{:02}-{:02}-{:02}", 14 + random.below(13), two(random, 12), two(random, 28));
        let clock = format!("{:02}:{:02}:{:02}", random.below(24), random.below(60), random.below(60));
        let texts = [
            format!("{date} {clock}"),
            format!("CAM{:02}", two(random, 16)),
            format!("PEN {}", two(random, 40)),
        ];
        let first_corner = random.below(4);
        for (number, text) in texts[..1 + random.below(3)].iter().enumerate() {
            let scale = 1 + random.below(3);
            let (wide, high) = (6 * text.len() * scale, 7 * scale);
            if wide + 12 > self.width || high + 12 > self.height {
                continue;
            }
            let corner = first_corner + number;
            let edge = |random: &mut Random, is_far: bool, free: usize| {
                let away = 4 + random.below(8);
                if is_far { free - away } else { away }
            };
            let left = edge(random, corner & 1 == 1, self.width - wide);
            let top = edge(random, corner & 2 == 2, self.height - high);
            let (ink, rim) = if random.chance(0.85) { (245, 10) } else { (15, 200) };
            let has_rim = random.chance(0.6);
            for y in 0..high + 2 {
                for x in 0..wide + 2 {
                    let dot = |x: usize, y: usize| {
                        x > 0 && y > 0 && digits::is_dot(text, (x - 1) / scale, (y - 1) / scale)
                    };
                    let value = if dot(x, y) {
                        ink
                    } else if has_rim
                        && (dot(x + 1, y) || dot(x, y + 1) || dot(x.max(1) - 1, y) || dot(x, y.max(1) - 1))
                    {
                        rim
                    } else {
                        continue;
                    };
                    let place =
                        3 * ((top + y).min(self.height - 1) * self.width + (left + x).min(self.width - 1));
                    pixels[place..place + 3].fill(value);
                }
            }
        }
    }
}

/// A Gaussian blur, first along rows, then along columns.
fn blurred(light: &[Vec3], width: usize, height: usize, sigma: f32) -> Vec<Vec3> {
    let reach = (2.5 * sigma).ceil() as isize;
    let weights: Vec<f32> =
        (-reach..=reach).map(|away| (-((away * away) as f32) / (2.0 * sigma * sigma)).exp()).collect();
    let total: f32 = weights.iter().sum();
    let pass = |from: &[Vec3], step_x: isize, step_y: isize| {
        let of_place = |place: usize| {
            let (x, y) = ((place % width).cast_signed(), (place / width).cast_signed());
            let sum = (-reach..=reach).zip(&weights).fold(Vec3::default(), |sum, (away, weight)| {
                let column = (x + step_x * away).clamp(0, width.cast_signed() - 1);
                let row = (y + step_y * away).clamp(0, height.cast_signed() - 1);
                sum + from[(row * width.cast_signed() + column).cast_unsigned()] * *weight
            });
            sum * (1.0 / total)
        };
        (0..from.len()).map(of_place).collect::<Vec<_>>()
    };
    pass(&pass(light, 1, 0), 0, 1)
}
