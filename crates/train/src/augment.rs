//! Pictures for the network: as they are, or varied for training.

use crate::feature_map::FeatureMap;
use crate::loss::Truth;
use fastrand::Rng;
use pigweight_core::geometry::{Point, Rect};

/// Grey of what lies outside the picture, as in the recipe.
const BORDER: f32 = 114.0;
/// Sides of inputs are multiples of this, px.
const COARSEST_STRIDE: usize = 32;
/// The zoom of varied pictures, where 1 fits the input.
const ZOOM: (f32, f32) = (0.85, 1.5);
/// Cameras hang askew: of some pictures, by up to so many degrees.
const TURNED_SHARE: f32 = 0.4;
const MOST_DEGREES: f32 = 12.0;
/// How far the middle of the picture lies from the middle of the input, in parts of the input.
const MOST_OFF: f32 = 0.15;
/// Shown without colour, as by infrared light.
const GREY_SHARE: f32 = 0.15;
/// An animal of which less is left in the picture isn't asked for, nor called wrong.
const LEAST_LEFT: f32 = 0.2;
const LEAST_LEFT_PX: f32 = 5.0;

/// A picture: red, green and blue of each pixel, row by row.
#[derive(Clone, Debug, PartialEq)]
pub struct RgbPicture {
    /// px.
    pub width: usize,
    /// px.
    pub height: usize,
    /// 3 × width × height bytes.
    pub data: Vec<u8>,
}

/// The recipe's normalisation: see [`crate::Network::normalisation`].
pub type Normalisation = [(f32, f32); 3];

/// Where input pixels come from: the picture's place of the input's (x, y).
#[derive(Clone, Copy, Debug)]
struct Source {
    /// By x and by y of the input.
    x: [f32; 2],
    y: [f32; 2],
    /// At the input's origin.
    start: [f32; 2],
}

impl Source {
    fn at(&self, x: f32, y: f32) -> (f32, f32) {
        (self.start[0] + self.x[0] * x + self.x[1] * y, self.start[1] + self.y[0] * x + self.y[1] * y)
    }
}

/// A picture as large as an input of some width, and how to get back.
pub struct Fitted {
    /// Normalised.
    pub input: FeatureMap,
    scale: f32,
    top: f32,
    width: f32,
    is_mirrored: bool,
}

impl Fitted {
    /// Fits a picture to an input `width` px wide (a multiple of 32); borders above and below make its height one too.
    pub fn new(picture: &RgbPicture, width: usize, is_mirrored: bool, normalisation: &Normalisation) -> Self {
        let scale = width as f32 / picture.width as f32;
        let filled = ((picture.height as f32 * scale).round() as usize).max(1);
        let height = filled.next_multiple_of(COARSEST_STRIDE);
        let top = ((height - filled) / 2) as f32;
        let step = 1.0 / scale;
        let source = if is_mirrored {
            Source { x: [-step, 0.0], y: [0.0, step], start: [picture.width as f32, -top * step] }
        } else {
            Source { x: [step, 0.0], y: [0.0, step], start: [0.0, -top * step] }
        };
        let input = sampled(picture, (width, height), &source, &identity(), normalisation);
        Self { input, scale, top, width: width as f32, is_mirrored }
    }

    /// From the input to the picture, px.
    pub fn to_picture(&self, rect: Rect) -> Rect {
        let x = if self.is_mirrored { self.width - rect.right() } else { rect.x };
        Rect::new(
            x / self.scale,
            (rect.y - self.top) / self.scale,
            rect.width / self.scale,
            rect.height / self.scale,
        )
    }
}

/// A varied picture for an input of `size` px, with its truth there.
pub fn varied(
    picture: &RgbPicture,
    truth: &Truth,
    size: (usize, usize),
    normalisation: &Normalisation,
    random: &mut Rng,
) -> (FeatureMap, Truth) {
    let between = |random: &mut Rng, low: f32, high: f32| low + (high - low) * random.f32();
    let (width, height) = (size.0 as f32, size.1 as f32);
    let (picture_width, picture_height) = (picture.width as f32, picture.height as f32);
    let zoom = between(random, ZOOM.0.ln(), ZOOM.1.ln()).exp();
    let scale = (width / picture_width).min(height / picture_height) * zoom;
    let is_turned = random.f32() < TURNED_SHARE;
    let angle = if is_turned { between(random, -MOST_DEGREES, MOST_DEGREES).to_radians() } else { 0.0 };
    let mirror = if random.bool() { -1.0 } else { 1.0 };
    let mut middle = [0.0; 2];
    for (axis, (side, seen)) in [(width, picture_width), (height, picture_height)].into_iter().enumerate() {
        // What is larger than the input is somewhere in it.
        let free = (scale * seen - side).max(0.0) / 2.0;
        middle[axis] =
            side / 2.0 + between(random, -MOST_OFF, MOST_OFF) * side + between(random, -free, free);
    }
    let (sin, cos) = angle.sin_cos();
    // Forward: input = middle + scale · turn · (mirrored picture - its middle).
    let source = Source {
        x: [cos / scale * mirror, sin / scale * mirror],
        y: [-sin / scale, cos / scale],
        start: [
            picture_width / 2.0 - mirror * (cos * middle[0] + sin * middle[1]) / scale,
            picture_height / 2.0 - (-sin * middle[0] + cos * middle[1]) / scale,
        ],
    };
    let forward = |point: Point| {
        let (x, y) =
            ((point.x - picture_width / 2.0) * mirror * scale, (point.y - picture_height / 2.0) * scale);
        Point::new(middle[0] + cos * x - sin * y, middle[1] + sin * x + cos * y)
    };
    // An animal fills its box like an ellipse: that is turned, not the corners.
    let moved = |rect: &Rect| {
        let (half_width, half_height) = (rect.width / 2.0 * scale, rect.height / 2.0 * scale);
        let across = (cos * half_width).hypot(sin * half_height);
        let down = (sin * half_width).hypot(cos * half_height);
        Rect::from_center(forward(rect.center()), 2.0 * across, 2.0 * down)
    };
    let tones = tones(random);
    let input = sampled(picture, size, &source, &tones, normalisation);
    let mut found = Truth::default();
    for rect in &truth.animals {
        let whole = moved(rect);
        let left = whole.clipped(width, height);
        let is_seen =
            left.area() >= LEAST_LEFT * whole.area() && left.width.min(left.height) >= LEAST_LEFT_PX;
        if is_seen { found.animals.push(left) } else { found.ignored.push(left) }
    }
    found.ignored.extend(truth.ignored.iter().map(|rect| moved(rect).clipped(width, height)));
    found.ignored.retain(|rect| rect.width.min(rect.height) >= 1.0);
    (input, found)
}

/// What each channel's bytes become, and whether it is shown without colour.
struct Tones {
    table: [Vec<f32>; 3],
    is_grey: bool,
}

fn identity() -> Tones {
    let plain: Vec<f32> = (0..=255).map(|value| value as f32).collect();
    Tones { table: [plain.clone(), plain.clone(), plain], is_grey: false }
}

/// Light, exposure and colour a little different.
fn tones(random: &mut Rng) -> Tones {
    let mut between = |low: f32, high: f32| low + (high - low) * random.f32();
    let (gamma, contrast, brightness) = (between(0.75, 1.35), between(0.75, 1.2), between(-18.0, 18.0));
    let gains = [between(0.92, 1.08), between(0.92, 1.08), between(0.92, 1.08)];
    let table = gains.map(|gain| {
        let tone = |value: u16| {
            let lit = 255.0 * (f32::from(value) * gain / 255.0).min(1.0).powf(gamma);
            ((lit - 128.0) * contrast + 128.0 + brightness).clamp(0.0, 255.0)
        };
        (0..=255).map(tone).collect()
    });
    Tones { table, is_grey: between(0.0, 1.0) < GREY_SHARE }
}

/// Bilinear between the centres of pixels.
fn sampled(
    picture: &RgbPicture,
    (width, height): (usize, usize),
    source: &Source,
    tones: &Tones,
    normalisation: &Normalisation,
) -> FeatureMap {
    let mut input = FeatureMap::zeros(3, height, width);
    let area = width * height;
    let toned: Vec<f32> = picture
        .data
        .iter()
        .enumerate()
        .map(|(index, &value)| tones.table[index % 3][usize::from(value)])
        .collect();
    let pixel = |x: isize, y: isize, channel: usize| {
        let (x, y) = (x.clamp(0, picture.width as isize - 1), y.clamp(0, picture.height as isize - 1));
        toned[3 * (y as usize * picture.width + x as usize) + channel]
    };
    for row in 0..height {
        for column in 0..width {
            let (x, y) = source.at(column as f32 + 0.5, row as f32 + 0.5);
            let is_inside = x >= 0.0 && y >= 0.0 && x < picture.width as f32 && y < picture.height as f32;
            let mut color = [BORDER; 3];
            if is_inside {
                let (x, y) = (x - 0.5, y - 0.5);
                let (left, top) = (x.floor(), y.floor());
                let (right, down) = (x - left, y - top);
                let (left, top) = (left as isize, top as isize);
                for (channel, value) in color.iter_mut().enumerate() {
                    let upper =
                        pixel(left, top, channel) * (1.0 - right) + pixel(left + 1, top, channel) * right;
                    let lower = pixel(left, top + 1, channel) * (1.0 - right)
                        + pixel(left + 1, top + 1, channel) * right;
                    *value = upper * (1.0 - down) + lower * down;
                }
                if tones.is_grey {
                    color = [0.299 * color[0] + 0.587 * color[1] + 0.114 * color[2]; 3];
                }
            }
            for (channel, (factor, shift)) in normalisation.iter().enumerate() {
                input.data[channel * area + row * width + column] = color[channel] / 255.0 * factor + shift;
            }
        }
    }
    input
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: Normalisation = [(1.0, 0.0); 3];

    /// Black with one bright block.
    fn picture(block: Rect) -> RgbPicture {
        let (width, height) = (160, 90);
        let mut data = vec![0; 3 * width * height];
        for y in block.y as usize..block.bottom() as usize {
            for x in block.x as usize..block.right() as usize {
                data[3 * (y * width + x)..][..3].fill(255);
            }
        }
        RgbPicture { width, height, data }
    }

    /// The mean place of what is bright, weighted; and its area, px.
    fn bright(input: &FeatureMap) -> (Point, f32) {
        let (mut x, mut y, mut total) = (0.0, 0.0, 0.0);
        for (index, &value) in input.channel(0).iter().enumerate() {
            if value > 0.6 {
                x += (index % input.width) as f32 + 0.5;
                y += (index / input.width) as f32 + 0.5;
                total += 1.0;
            }
        }
        (Point::new(x / total, y / total), total)
    }

    #[test]
    fn boxes_stay_on_their_animals_however_a_picture_is_varied() {
        let block = Rect::new(70.0, 35.0, 22.0, 18.0);
        let picture = picture(block);
        let mut random = Rng::with_seed(5);
        for _ in 0..60 {
            let truth = Truth { animals: vec![block], ignored: vec![] };
            let (input, truth) = varied(&picture, &truth, (320, 192), &PLAIN, &mut random);
            let Some(rect) = truth.animals.first() else { continue };
            let (center, area) = bright(&input);
            if area < 400.0 {
                continue; // Cut off by an edge.
            }
            let near = rect.width.min(rect.height) / 8.0;
            let is_whole = rect.x > 1.0 && rect.y > 1.0 && rect.right() < 319.0 && rect.bottom() < 191.0;
            assert!(!is_whole || center.distance(rect.center()) < near, "{rect:?} {center:?}");
        }
    }

    #[test]
    fn a_fitted_picture_and_its_mirror_lead_back_to_the_same_place() {
        let block = Rect::new(20.0, 50.0, 20.0, 16.0);
        for is_mirrored in [false, true] {
            let fitted = Fitted::new(&picture(block), 320, is_mirrored, &PLAIN);
            assert_eq!((fitted.input.width, fitted.input.height), (320, 192));
            let (center, _) = bright(&fitted.input);
            let back = fitted.to_picture(Rect::from_center(center, 40.0, 32.0));
            assert!(back.iou(block) > 0.95, "{back:?}");
        }
    }
}
