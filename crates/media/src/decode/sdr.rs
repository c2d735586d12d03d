//! Tone mapping: high dynamic range and wide gamut to 8-bit BT.709.
//!
//! The transfer function gives linear light (HLG for a display of 1,000 cd/m², BT.2100-2; PQ is absolute). Reference white (203 cd/m²,
//! BT.2408-7) becomes the picture's white. Brighter light is compressed below it and keeps its hue. BT.2020 and Display P3 are converted to
//! BT.709. All of this is one function from luma and chroma to luma and chroma, tabulated once: luma in full, chroma on a grid that is
//! interpolated.

use crate::decode::picture::subsampled;
use crate::libav::{Coefficients, Colors, Frame, Primaries, Transfer};
use pigweight_core::picture::ColorMatrix;

/// Values of luma, 10 bits.
const LUMAS: usize = 1024;
/// Luma values for which the function itself is computed; those between them are interpolated.
const KNOTS: usize = 65;
const LUMAS_PER_KNOT: usize = LUMAS / (KNOTS - 1);
/// Points of a chroma's grid.
const GRID: usize = 33;
/// Chroma values between two points.
const STEP: usize = LUMAS / (GRID - 1);
/// Values of luma in the tables of chroma.
const COARSE_LUMAS: usize = 256;
const LUMAS_PER_COARSE: usize = LUMAS / COARSE_LUMAS;

/// cd/m² of reference white (BT.2408-7, 5.1).
const WHITE_NITS: f32 = 203.0;
/// cd/m² of a screen for HLG, whose gamma is 1.2 then (BT.2100-2, table 5).
const HLG_PEAK_NITS: f32 = 1000.0;
/// Light above this share of reference white is compressed.
const KNEE: f32 = 0.6;
/// Gamma of a BT.1886 display.
const SCREEN_GAMMA: f32 = 2.4;

/// The function for one kind of colors.
pub(crate) struct SdrMap {
    colors: Colors,
    /// For each point of the grid (blue difference, then red), each luma.
    luma: Vec<[u8; LUMAS]>,
    /// The same for coarse lumas: blue and red difference.
    chroma: Vec<[u8; 2]>,
}

/// A chroma pair's place on the grid: the four points around it and their weights, which make `STEP * STEP` together.
struct Place {
    points: [usize; 4],
    weights: [u32; 4],
}

impl Place {
    fn of(blue: u16, red: u16) -> Self {
        let split = |value: u16| {
            let value = usize::from(value).min(LUMAS - 1);
            (value / STEP, (value % STEP) as u32)
        };
        let ((b, blue), (r, red)) = (split(blue), split(red));
        let step = STEP as u32;
        Self {
            points: [b * GRID + r, b * GRID + r + 1, (b + 1) * GRID + r, (b + 1) * GRID + r + 1],
            weights: [(step - blue) * (step - red), (step - blue) * red, blue * (step - red), blue * red],
        }
    }

    #[inline(always)]
    fn mixed(&self, [one, other, third, fourth]: [u8; 4]) -> u8 {
        const HALF: u32 = (STEP * STEP / 2) as u32;
        let [a, b, c, d] = self.weights;
        let sum = a * u32::from(one) + b * u32::from(other) + c * u32::from(third) + d * u32::from(fourth);
        ((sum + HALF) / (2 * HALF)) as u8
    }
}

impl SdrMap {
    pub(crate) fn of(colors: Colors) -> Self {
        let (mut luma, mut chroma) = (Vec::new(), Vec::new());
        luma.reserve_exact(GRID * GRID);
        chroma.reserve_exact(GRID * GRID * COARSE_LUMAS);
        let mut column = [[0.0; 3]; KNOTS];
        for blue in 0..GRID {
            for red in 0..GRID {
                for (knot, mapped) in column.iter_mut().enumerate() {
                    *mapped = mapped_sample([knot * LUMAS_PER_KNOT, blue * STEP, red * STEP], colors);
                }
                let at = |luma: usize| {
                    let (knot, share) =
                        (luma / LUMAS_PER_KNOT, (luma % LUMAS_PER_KNOT) as f32 / LUMAS_PER_KNOT as f32);
                    let (one, other) = (column[knot], column[knot + 1]);
                    [0, 1, 2].map(|part| (one[part] + (other[part] - one[part]) * share + 0.5) as u8)
                };
                luma.push(std::array::from_fn(|luma| at(luma)[0]));
                chroma.extend((0..COARSE_LUMAS).map(|luma| {
                    let [_, blue, red] = at(luma * LUMAS_PER_COARSE + LUMAS_PER_COARSE / 2);
                    [blue, red]
                }));
            }
        }
        Self { colors, luma, chroma }
    }

    pub(crate) fn colors(&self) -> Colors {
        self.colors
    }

    /// The frame, planar with 10 bits, as 8-bit BT.709 of the same size and subsampling. `None` for another layout or if there is
    /// no memory for it.
    pub(crate) fn apply(&self, frame: &Frame) -> Option<Frame> {
        let shifts @ (shift_x, shift_y) = frame.ten_bit_shifts()?;
        let (width, height) = (frame.width() as usize, frame.height() as usize);
        let (columns, rows) = (subsampled(frame.width(), shift_x), subsampled(frame.height(), shift_y));
        let mut mapped = Frame::yuv((frame.width(), frame.height()), shifts, ColorMatrix::Bt709, false)?;
        let [y, u, v] = [(0, width, height), (1, columns, rows), (2, columns, rows)]
            .map(|(plane, columns, rows)| frame.plane(plane, 2 * columns, rows));
        if y.samples.is_empty() || u.samples.is_empty() || v.samples.is_empty() {
            return None;
        }
        let sizes = [(width, height), (columns, rows), (columns, rows)];
        let [(to_y, stride_y), (to_u, stride_u), (to_v, stride_v)] = mapped.planes_mut(sizes)?;
        // The same for all lines that a row of chroma belongs to.
        let mut places: Vec<Place> = Vec::with_capacity(columns);
        let mut sums = vec![0_u32; columns];
        for row in 0..rows {
            let [line_u, line_v] = [u, v].map(|plane| &plane.samples[row * plane.stride..][..2 * columns]);
            let of_columns = line_u.chunks_exact(2).zip(line_v.chunks_exact(2));
            places.clear();
            places.extend(of_columns.map(|(blue, red)| Place::of(ten_bits(blue), ten_bits(red))));
            sums.fill(0);
            let first = row << shift_y;
            let lines = first..height.min(first + (1 << shift_y));
            let line_count = lines.len() as u32;
            for line in lines {
                let from = &y.samples[line * y.stride..][..2 * width];
                let to = &mut to_y[line * stride_y..][..width];
                let lumas = from.chunks(2 << shift_x).zip(to.chunks_mut(1 << shift_x));
                for ((place, sum), (from, to)) in places.iter().zip(&mut sums).zip(lumas) {
                    let tables = place.points.map(|point| self.lumas_at(point));
                    for (luma, to) in from.chunks_exact(2).zip(to) {
                        let luma = usize::from(ten_bits(luma)) % LUMAS;
                        *sum += luma as u32;
                        *to =
                            place.mixed([tables[0][luma], tables[1][luma], tables[2][luma], tables[3][luma]]);
                    }
                }
            }
            let to_u = &mut to_u[row * stride_u..][..columns];
            let to_v = &mut to_v[row * stride_v..][..columns];
            for (column, (place, sum)) in places.iter().zip(&sums).enumerate() {
                let across = (width - (column << shift_x)).min(1 << shift_x) as u32;
                let coarse = (*sum / (across * line_count).max(1)) as usize / LUMAS_PER_COARSE;
                let pairs = place.points.map(|point| self.chroma[point * COARSE_LUMAS + coarse]);
                to_u[column] = place.mixed(pairs.map(|[blue, _]| blue));
                to_v[column] = place.mixed(pairs.map(|[_, red]| red));
            }
        }
        Some(mapped)
    }

    #[inline(always)]
    fn lumas_at(&self, point: usize) -> &[u8; LUMAS] {
        &self.luma[point]
    }
}

#[inline(always)]
fn ten_bits(sample: &[u8]) -> u16 {
    u16::from_le_bytes([sample[0], sample[1]])
}

/// A luma and two chromas of 10 bits as limited 8-bit BT.709.
fn mapped_sample(sample: [usize; 3], colors: Colors) -> [f32; 3] {
    let [y, blue, red] = sample.map(|value| value as f32);
    let (luma, blue, red) = match colors.full_range {
        true => (y / 1023.0, (blue - 512.0) / 1023.0, (red - 512.0) / 1023.0),
        false => ((y - 64.0) / 876.0, (blue - 512.0) / 896.0, (red - 512.0) / 896.0),
    };
    let (of_red, of_blue) = match colors.coefficients {
        Coefficients::Bt601 => (0.299, 0.114),
        Coefficients::Bt709 => (0.2126, 0.0722),
        Coefficients::Bt2020 => (0.2627, 0.0593),
    };
    let r = luma + 2.0 * (1.0 - of_red) * red;
    let b = luma + 2.0 * (1.0 - of_blue) * blue;
    let g = (luma - of_red * r - of_blue * b) / (1.0 - of_red - of_blue);
    let [r, g, b] = shown([r, g, b], colors);
    let luma = 0.2126 * r + 0.7152 * g + 0.0722 * b;
    [16.0 + 219.0 * luma, 128.0 + 224.0 * (b - luma) / 1.8556, 128.0 + 224.0 * (r - luma) / 1.5748]
}

/// Maps an HDR signal, 0 to 1, to an SDR signal that looks the same.
fn shown(signal: [f32; 3], colors: Colors) -> [f32; 3] {
    let light = to_usual_primaries(light(signal, colors.transfer), colors.primaries);
    let brightest = light.into_iter().fold(0.0, f32::max);
    let share = match colors.transfer {
        Transfer::Pq | Transfer::Hlg if brightest > KNEE => pressed(brightest) / brightest,
        _ => 1.0,
    };
    light.map(|light| (light * share).clamp(0.0, 1.0).powf(1.0 / SCREEN_GAMMA))
}

/// Linear light relative to reference white.
fn light(signal: [f32; 3], transfer: Transfer) -> [f32; 3] {
    match transfer {
        Transfer::Usual => signal.map(|value| value.clamp(0.0, 1.0).powf(SCREEN_GAMMA)),
        // BT.2100-2, table 4.
        Transfer::Pq => signal.map(|value| {
            const M1: f32 = 2610.0 / 16384.0;
            const M2: f32 = 2523.0 / 4096.0 * 128.0;
            const C1: f32 = 3424.0 / 4096.0;
            const C2: f32 = 2413.0 / 4096.0 * 32.0;
            const C3: f32 = 2392.0 / 4096.0 * 32.0;
            let root = value.clamp(0.0, 1.0).powf(1.0 / M2);
            10_000.0 / WHITE_NITS * ((root - C1).max(0.0) / (C2 - C3 * root)).powf(1.0 / M1)
        }),
        // BT.2100-2, table 5: the scene's light, then the screen's.
        Transfer::Hlg => {
            const A: f32 = 0.178_832_77;
            const B: f32 = 1.0 - 4.0 * A;
            const C: f32 = 0.559_910_7;
            let scene = signal.map(|value| match value.clamp(0.0, 1.0) {
                low @ ..=0.5 => low * low / 3.0,
                high => (((high - C) / A).exp() + B) / 12.0,
            });
            let luminance = 0.2627 * scene[0] + 0.678 * scene[1] + 0.0593 * scene[2];
            let gain = HLG_PEAK_NITS / WHITE_NITS * luminance.max(0.0).powf(0.2);
            scene.map(|value| gain * value)
        }
    }
}

fn to_usual_primaries(light: [f32; 3], from: Primaries) -> [f32; 3] {
    // BT.2087-0 for BT.2020; from Display P3 likewise, both with the white of D65.
    let matrix = match from {
        Primaries::Usual => return light,
        Primaries::Bt2020 => {
            [[1.6605, -0.5876, -0.0728], [-0.1246, 1.1329, -0.0083], [-0.0182, -0.1006, 1.1187]]
        }
        Primaries::DisplayP3 => [[1.2249, -0.2247, 0.0], [-0.0420, 1.0419, 0.0], [-0.0197, -0.0786, 1.0979]],
    };
    matrix.map(|row: [f32; 3]| row.iter().zip(light).map(|(one, other)| one * other).sum())
}

/// Light above the knee, so that any is below white and the beginning is smooth.
fn pressed(light: f32) -> f32 {
    let above = (light - KNEE) / (1.0 - KNEE);
    KNEE + (1.0 - KNEE) * above / (1.0 + above * above).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    const HLG: Colors = Colors {
        transfer: Transfer::Hlg,
        primaries: Primaries::Bt2020,
        coefficients: Coefficients::Bt2020,
        full_range: false,
    };
    const PQ: Colors = Colors { transfer: Transfer::Pq, ..HLG };

    /// A grey's level, 0 to 255, of a signal of 0 to 1.
    fn grey(signal: f32, colors: Colors) -> f32 {
        let [r, g, b] = shown([signal; 3], colors).map(|value| value * 255.0);
        assert!((r - g).abs() < 0.5 && (g - b).abs() < 0.5, "{r} {g} {b}");
        g
    }

    /// Levels of BT.2408-7, table 1: reference white is 75 % of HLG and 58 % of PQ; a grey card, of 26 cd/m², 38 % of both.
    #[test]
    fn paper_and_a_grey_card_look_as_they_do() {
        for (white, colors) in [(0.75, HLG), (0.58, PQ)] {
            assert!((235.0..=250.0).contains(&grey(white, colors)), "{colors:?} {}", grey(white, colors));
            assert!(grey(0.0, colors) < 1.0 && grey(1.0, colors) > 250.0);
            assert!((106.0..=112.0).contains(&grey(0.38, colors)), "{colors:?} {}", grey(0.38, colors));
            let levels: Vec<f32> = (0..=200_u8).map(|n| grey(f32::from(n) / 200.0, colors)).collect();
            assert!(levels.windows(2).all(|pair| pair[0] <= pair[1]), "brighter stays brighter: {levels:?}");
        }
    }

    #[test]
    fn a_wide_gamut_without_high_range_keeps_its_greys() {
        for primaries in [Primaries::Bt2020, Primaries::DisplayP3] {
            let colors = Colors { transfer: Transfer::Usual, primaries, ..HLG };
            for level in [0_u8, 40, 128, 200, 255] {
                assert!((grey(f32::from(level) / 255.0, colors) - f32::from(level)).abs() < 0.6, "{level}");
            }
            // A BT.709 red is less than the red of a wide gamut.
            let [r, g, b] = shown([0.8, 0.1, 0.1], colors);
            assert!(r > 0.8 && g < 0.1 && b <= 0.1, "{r} {g} {b}");
        }
    }

    #[test]
    fn the_tables_are_near_the_function() {
        for colors in [HLG, PQ, Colors { full_range: true, ..PQ }] {
            let map = SdrMap::of(colors);
            let mut worst = [0.0_f32; 3];
            for (y, blue, red) in
                [(300, 512, 512), (411, 530, 477), (555, 480, 600), (640, 400, 560), (900, 512, 515)]
            {
                let place = Place::of(blue, red);
                let luma = place.mixed(place.points.map(|point| map.lumas_at(point)[usize::from(y)]));
                let coarse = usize::from(y) / LUMAS_PER_COARSE;
                let pairs = place.points.map(|point| map.chroma[point * COARSE_LUMAS + coarse]);
                let got =
                    [luma, place.mixed(pairs.map(|pair| pair[0])), place.mixed(pairs.map(|pair| pair[1]))];
                let expected = mapped_sample([y, blue, red].map(usize::from), colors);
                for (worst, (got, expected)) in worst.iter_mut().zip(got.into_iter().zip(expected)) {
                    *worst = worst.max((f32::from(got) - expected).abs());
                }
            }
            // Most where a saturated color leaves what a usual screen can show.
            assert!(worst[0] < 4.0 && worst[1].max(worst[2]) < 8.0, "{colors:?}: off by {worst:?}");
        }
    }
}
