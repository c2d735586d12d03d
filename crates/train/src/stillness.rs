//! What never changes in a film is no animal.
//!
//! A detector that has never seen a pen takes its feeder for a pig, in every frame. Animals breathe, twitch and get up; a feeder does
//! not. So pictures from all over a film say, for each place, how far its brightness ranges. On the development film of a pen by
//! day none of 99 boxes whose middle ranged over less than six grey levels was an animal, by night 3 of 199 were; of all other boxes two in three or more.
//! Reduced further or blurred, the ranges of things and animals at rest lie closer together.

use crate::augment::RgbPicture;
use pigweight_core::geometry::Rect;

/// Pictures are reduced to this width, px: it takes the camera's noise out.
const WIDTH: usize = 320;
/// Below this range of brightness (of 255, from the tenth to the ninetieth percentile of pictures) nothing has moved at a place.
const STILL_RANGE: u8 = 6;
/// With fewer pictures an animal at rest looks like a thing.
const FEWEST_PICTURES: usize = 60;
/// A box is judged by its middle: at its corners there is ground.
const MIDDLE: f32 = 0.8;

/// How far the brightness of each place ranges over a film.
#[derive(Clone, Debug, Default)]
pub struct Stillness {
    width: usize,
    height: usize,
    /// Of the reduced picture's places to the picture's px.
    px: (f32, f32),
    ranges: Vec<u8>,
}

/// Gathers pictures of a film.
#[derive(Clone, Debug, Default)]
pub struct StillnessBuilder {
    width: usize,
    height: usize,
    px: (f32, f32),
    /// A reduced picture after the other.
    pictures: Vec<Vec<u8>>,
}

impl StillnessBuilder {
    /// Takes a picture. All have one size; others are passed over.
    pub fn add(&mut self, picture: &RgbPicture) {
        let width = WIDTH.min(picture.width).max(1);
        let height = (picture.height * width / picture.width.max(1)).max(1);
        if self.pictures.is_empty() {
            (self.width, self.height) = (width, height);
            self.px = (picture.width as f32 / width as f32, picture.height as f32 / height as f32);
        }
        if (self.width, self.height) == (width, height) {
            self.pictures.push(reduced(picture, width, height));
        }
    }

    /// The ranges.
    pub fn finish(self) -> Stillness {
        let Self { width, height, px, pictures } = self;
        if pictures.len() < FEWEST_PICTURES {
            return Stillness::default();
        }
        let mut values = vec![0; pictures.len()];
        let (low, high) = (pictures.len() / 10, pictures.len() * 9 / 10);
        let ranges = (0..width * height)
            .map(|place| {
                for (value, picture) in values.iter_mut().zip(&pictures) {
                    *value = picture[place];
                }
                values.sort_unstable();
                values[high] - values[low]
            })
            .collect();
        Stillness { width, height, px, ranges }
    }
}

impl Stillness {
    /// Whether nothing has moved in a box, px of the picture, over the whole film. `false` if the film was too short to tell.
    pub fn is_still(&self, rect: Rect) -> bool {
        let middle = Rect::from_center(rect.center(), rect.width * MIDDLE, rect.height * MIDDLE);
        let range = |from: f32, to: f32, px: f32, limit: usize| {
            let from = ((from / px).max(0.0) as usize).min(limit.saturating_sub(1));
            from..((to / px).ceil() as usize).clamp(from + 1, limit.max(from + 1))
        };
        let columns = range(middle.x, middle.right(), self.px.0, self.width);
        let mut values: Vec<u8> = range(middle.y, middle.bottom(), self.px.1, self.height)
            .flat_map(|row| self.ranges.get(row * self.width + columns.start..row * self.width + columns.end))
            .flatten()
            .copied()
            .collect();
        values.sort_unstable();
        values.get(values.len() / 2).is_some_and(|&median| median < STILL_RANGE)
    }
}

/// Brightness, averaged over the pixels of each place.
fn reduced(picture: &RgbPicture, width: usize, height: usize) -> Vec<u8> {
    let mut out = Vec::with_capacity(width * height);
    for row in 0..height {
        let rows = row * picture.height / height
            ..((row + 1) * picture.height / height).max(row * picture.height / height + 1);
        for column in 0..width {
            let start = column * picture.width / width;
            let columns = start..((column + 1) * picture.width / width).max(start + 1);
            let (mut sum, mut count) = (0_u32, 0_u32);
            for y in rows.clone() {
                for pixel in picture.data
                    [3 * (y * picture.width + columns.start)..3 * (y * picture.width + columns.end)]
                    .chunks_exact(3)
                {
                    sum += (77 * u32::from(pixel[0]) + 150 * u32::from(pixel[1]) + 29 * u32::from(pixel[2]))
                        >> 8;
                    count += 1;
                }
            }
            out.push((sum / count.max(1)) as u8);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A grey pen with a bright feeder on the left, a pig that shifts a little in the middle, and noise.
    fn film(pictures: usize) -> Stillness {
        let mut random = fastrand::Rng::with_seed(2);
        let mut builder = StillnessBuilder::default();
        for number in 0..pictures {
            let mut data = vec![90_u8; 3 * 320 * 180];
            let pig = 140 + number / 10 % 3 * 12;
            for y in 40..100 {
                for x in (20..60).chain(pig..pig + 60) {
                    // A pig isn't all alike.
                    let value = if x < 60 { 200 } else { 150 + (((x - pig) * 7 + y * 3) % 80) as u8 };
                    data[3 * (y * 320 + x)..][..3].fill(value);
                }
            }
            data.iter_mut().for_each(|value| *value = value.saturating_add(random.u8(0..3)));
            builder.add(&RgbPicture { width: 320, height: 180, data });
        }
        builder.finish()
    }

    #[test]
    fn a_feeder_is_still_and_a_pig_that_shifts_is_not() {
        let stillness = film(100);
        assert!(stillness.is_still(Rect::new(20.0, 40.0, 40.0, 60.0)));
        assert!(!stillness.is_still(Rect::new(150.0, 40.0, 60.0, 60.0)));
    }

    #[test]
    fn a_short_film_calls_nothing_still() {
        assert!(!film(30).is_still(Rect::new(20.0, 40.0, 40.0, 60.0)));
    }
}
