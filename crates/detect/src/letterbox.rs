//! A frame's planes → the model's input tensor, in one pass: sampled, coloured, scaled and laid out at once, so that
//! no intermediate picture is made.
//!
//! Sampling is bilinear between pixel centres without widening for reduction, as OpenCV's `INTER_LINEAR` does it and
//! as the models were trained with.

use crate::layout::Head;
use pigweight_core::geometry::Rect;
use pigweight_core::picture::{ColorMatrix, PictureView, Plane, Planes};

/// Grey of the border that YOLO models are trained with.
const BORDER: f32 = 114.0;

/// The input that a layout expects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InputStyle {
    /// Where the picture lies in the input.
    pub placement: Placement,
    /// Blue first (OpenCV's order) rather than red first.
    pub is_bgr: bool,
    /// 0 to 1 rather than 0 to 255.
    pub is_unit_range: bool,
}

/// Where the picture lies in the input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Placement {
    /// Proportions kept, at the top left (YOLOX).
    TopLeft,
    /// Proportions kept, in the middle (Ultralytics).
    Centered,
    /// Stretched to the whole input (DETR).
    Stretched,
}

/// Preprocessing with which the layouts' models are trained.
pub(crate) fn input_style(head: Head) -> InputStyle {
    match head {
        Head::Yolox | Head::YoloxDecoded => {
            InputStyle { placement: Placement::TopLeft, is_bgr: true, is_unit_range: false }
        }
        Head::Yolov5 | Head::Yolov8 | Head::EndToEnd | Head::NmsRows => {
            InputStyle { placement: Placement::Centered, is_bgr: false, is_unit_range: true }
        }
        Head::Detr | Head::DetrRows | Head::DetrBoxes => {
            InputStyle { placement: Placement::Stretched, is_bgr: false, is_unit_range: true }
        }
    }
}

/// Position and scale of a picture in an input.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Fit {
    /// Input px per picture px.
    pub scale_x: f32,
    /// Input px per picture px.
    pub scale_y: f32,
    /// Left border, input px.
    pub left: usize,
    /// Top border, input px.
    pub top: usize,
    /// Size in the input, px.
    pub width: usize,
    /// Size in the input, px.
    pub height: usize,
}

impl Fit {
    /// Of a picture of `width` × `height` px.
    pub fn new(
        width: u32,
        height: u32,
        input_width: usize,
        input_height: usize,
        placement: Placement,
    ) -> Self {
        let (width, height) = (width.max(1) as f32, height.max(1) as f32);
        let (wide, high) = (input_width as f32, input_height as f32);
        if placement == Placement::Stretched {
            return Self {
                scale_x: wide / width,
                scale_y: high / height,
                left: 0,
                top: 0,
                width: input_width,
                height: input_height,
            };
        }
        let scale = (wide / width).min(high / height);
        let size = |px: f32, limit: usize| {
            // YOLOX cuts the fraction off, Ultralytics rounds.
            let px = if placement == Placement::TopLeft {
                (px * scale + 1e-3).floor()
            } else {
                (px * scale).round()
            };
            (px as usize).clamp(1, limit)
        };
        let (fit_width, fit_height) = (size(width, input_width), size(height, input_height));
        // Ultralytics puts the odd pixel of the border to the right and below (round(x − 0.1)).
        let border = |free: usize| match placement {
            Placement::Centered => ((free as f32 / 2.0 - 0.1).round().max(0.0)) as usize,
            Placement::TopLeft | Placement::Stretched => 0,
        };
        Self {
            scale_x: scale,
            scale_y: scale,
            left: border(input_width - fit_width),
            top: border(input_height - fit_height),
            width: fit_width,
            height: fit_height,
        }
    }

    /// Converts input px to picture px.
    pub fn to_picture(&self, rect: Rect) -> Rect {
        Rect::new(
            (rect.x - self.left as f32) / self.scale_x,
            (rect.y - self.top as f32) / self.scale_y,
            rect.width / self.scale_x,
            rect.height / self.scale_y,
        )
    }
}

/// The input tensor of one session, 3 × height × width, kept from frame to frame.
pub struct Letterbox {
    style: InputStyle,
    width: usize,
    height: usize,
    tensor: Vec<f32>,
    fit: Option<Fit>,
    /// Scratch: a line between two of the picture, and a row of the input.
    line: Vec<f32>,
    rows: [Vec<f32>; 3],
}

impl Letterbox {
    /// Empty.
    pub fn new(style: InputStyle) -> Self {
        Self {
            style,
            width: 0,
            height: 0,
            tensor: Vec::new(),
            fit: None,
            line: Vec::new(),
            rows: Default::default(),
        }
    }

    /// The tensor as last filled.
    pub fn tensor(&self) -> &[f32] {
        &self.tensor
    }

    /// Samples a picture into the tensor of an input of `width` × `height` px and tells where it lies there.
    pub fn fill(&mut self, picture: &PictureView<'_>, (width, height): (usize, usize)) -> Fit {
        if (self.width, self.height) != (width, height) {
            (self.width, self.height, self.fit) = (width, height, None);
        }
        let fit = Fit::new(picture.width, picture.height, self.width, self.height, self.style.placement);
        if self.fit != Some(fit) {
            let border = if self.style.is_unit_range { BORDER / 255.0 } else { BORDER };
            self.tensor.clear();
            self.tensor.resize(3 * self.width * self.height, border);
            self.fit = Some(fit);
        }
        match picture.planes {
            Planes::Yuv { y, u, v, chroma_shift_x, chroma_shift_y, matrix, full_range } => {
                let luma = Sampler::new(picture, 0, 0, &fit);
                let chroma = Sampler::new(picture, chroma_shift_x, chroma_shift_y, &fit);
                let color = YuvToRgb::new(matrix, full_range);
                for row in 0..fit.height {
                    for (channel, (sampler, plane)) in
                        [(&luma, y), (&chroma, u), (&chroma, v)].into_iter().enumerate()
                    {
                        sampler.blend_lines::<1>(plane, row, &mut self.line);
                        sampler.sample_line::<1>(&self.line, 0, &mut self.rows[channel]);
                    }
                    color.convert(&mut self.rows);
                    self.store_row(row, &fit);
                }
            }
            Planes::Rgb(plane) => {
                let sampler = Sampler::new(picture, 0, 0, &fit);
                for row in 0..fit.height {
                    sampler.blend_lines::<3>(plane, row, &mut self.line);
                    for (channel, values) in self.rows.iter_mut().enumerate() {
                        sampler.sample_line::<3>(&self.line, channel, values);
                    }
                    self.store_row(row, &fit);
                }
            }
        }
        fit
    }

    fn store_row(&mut self, row: usize, fit: &Fit) {
        let factor = if self.style.is_unit_range { 1.0 / 255.0 } else { 1.0 };
        for (channel, values) in self.rows.iter().enumerate() {
            let plane = if self.style.is_bgr { 2 - channel } else { channel };
            let start = (plane * self.height + fit.top + row) * self.width + fit.left;
            for (target, &value) in self.tensor[start..start + fit.width].iter_mut().zip(values) {
                *target = value * factor;
            }
        }
    }
}

/// Between two neighbours: the first one's index and the second one's weight.
#[derive(Clone, Copy)]
struct Tap {
    first: usize,
    weight: f32,
}

/// Samples planes in two steps: whole lines are blended first, which the compiler vectorises, and only
/// the blended line is sampled at single positions.
struct Sampler {
    columns: Vec<Tap>,
    rows: Vec<Tap>,
    width: usize,
    height: usize,
}

impl Sampler {
    /// For a plane of `picture` with a sample for each 2 to the power of `shift` px.
    fn new(picture: &PictureView<'_>, shift_x: u8, shift_y: u8, fit: &Fit) -> Self {
        Self {
            columns: taps(picture.width, shift_x, fit.width),
            rows: taps(picture.height, shift_y, fit.height),
            width: picture.width.div_ceil(1 << shift_x) as usize,
            height: picture.height.div_ceil(1 << shift_y) as usize,
        }
    }

    /// The line of an input row, `N` numbers a sample, one sample longer than the plane: the last has a neighbour too.
    fn blend_lines<const N: usize>(&self, plane: Plane<'_>, row: usize, out: &mut Vec<f32>) {
        let tap = self.rows[row];
        let line = |line: usize| plane.samples.get(line * plane.stride..line * plane.stride + self.width * N);
        out.clear();
        if let (Some(upper), Some(lower)) = (line(tap.first), line((tap.first + 1).min(self.height - 1))) {
            out.extend(upper.iter().zip(lower).map(|(&above, &below)| {
                let (above, below) = (f32::from(above), f32::from(below));
                above + (below - above) * tap.weight
            }));
        }
        // The neighbour of the last, whose weight is 0; and grey for a plane that the decoder left out.
        out.resize((self.width + 1) * N, 128.0);
    }

    /// One channel of an input row from its blended line.
    fn sample_line<const N: usize>(&self, line: &[f32], channel: usize, out: &mut Vec<f32>) {
        out.clear();
        out.extend(self.columns.iter().map(|column| {
            let at = column.first * N + channel;
            let pair = &line[at..at + N + 1];
            pair[0] + (pair[N] - pair[0]) * column.weight
        }));
    }
}

/// Sample positions in a plane for each px of the input. The last sample of a subsampled plane reaches beyond a
/// picture of odd size, so the picture's px count, not the plane's.
fn taps(picture_px: u32, shift: u8, fit_px: usize) -> Vec<Tap> {
    let samples = picture_px.div_ceil(1 << shift) as usize;
    let scale = picture_px as f32 / (1 << shift) as f32 / fit_px as f32;
    (0..fit_px)
        .map(|place| {
            let at = ((place as f32 + 0.5) * scale - 0.5).clamp(0.0, (samples - 1) as f32);
            let first = at as usize;
            Tap { first, weight: at - first as f32 }
        })
        .collect()
}

struct YuvToRgb {
    luma_offset: f32,
    luma: f32,
    red_v: f32,
    green_u: f32,
    green_v: f32,
    blue_u: f32,
}

impl YuvToRgb {
    /// ITU-R BT.601-7 and BT.709-6, full or limited range.
    fn new(matrix: ColorMatrix, full_range: bool) -> Self {
        let (red, blue) = match matrix {
            ColorMatrix::Bt601 => (0.299, 0.114),
            ColorMatrix::Bt709 => (0.2126, 0.0722),
        };
        let green = 1.0 - red - blue;
        let (luma_offset, luma, chroma) =
            if full_range { (0.0, 1.0, 1.0) } else { (16.0, 255.0 / 219.0, 255.0 / 224.0) };
        Self {
            luma_offset,
            luma,
            red_v: 2.0 * (1.0 - red) * chroma,
            green_u: -2.0 * (1.0 - blue) * blue / green * chroma,
            green_v: -2.0 * (1.0 - red) * red / green * chroma,
            blue_u: 2.0 * (1.0 - blue) * chroma,
        }
    }

    /// Y, U, V rows become R, G, B rows in place.
    fn convert(&self, rows: &mut [Vec<f32>; 3]) {
        let [first, second, third] = rows;
        for ((y, u), v) in first.iter_mut().zip(second).zip(third) {
            let luma = (*y - self.luma_offset) * self.luma;
            let (cb, cr) = (*u - 128.0, *v - 128.0);
            *y = (luma + self.red_v * cr).clamp(0.0, 255.0);
            *u = (luma + self.green_u * cb + self.green_v * cr).clamp(0.0, 255.0);
            *v = (luma + self.blue_u * cb).clamp(0.0, 255.0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wide_picture_lies_where_each_family_puts_it() {
        let centered = Fit::new(640, 360, 416, 416, Placement::Centered);
        assert_eq!((centered.left, centered.top, centered.width, centered.height), (0, 91, 416, 234));
        let top_left = Fit::new(640, 360, 416, 416, Placement::TopLeft);
        assert_eq!((top_left.left, top_left.top, top_left.width, top_left.height), (0, 0, 416, 234));
        let stretched = Fit::new(640, 360, 416, 416, Placement::Stretched);
        assert_eq!((stretched.width, stretched.height), (416, 416));
        for fit in [centered, top_left, stretched] {
            let whole = Rect::new(fit.left as f32, fit.top as f32, fit.width as f32, fit.height as f32);
            let back = fit.to_picture(whole);
            assert!((back.x.abs() + back.y.abs()) < 0.01, "{back:?}");
            assert!((back.width - 640.0).abs() < 0.5 && (back.height - 360.0).abs() < 0.5, "{back:?}");
        }
    }

    #[test]
    fn colours_land_in_their_planes_and_the_border_is_grey() {
        let red = [255_u8, 0, 0].repeat(8);
        let picture =
            PictureView { width: 4, height: 2, planes: Planes::Rgb(Plane { samples: &red, stride: 12 }) };
        let style = InputStyle { placement: Placement::TopLeft, is_bgr: true, is_unit_range: false };
        let mut letterbox = Letterbox::new(style);
        letterbox.fill(&picture, (4, 4));
        let tensor = letterbox.tensor();
        assert_eq!((tensor[0], tensor[16], tensor[32]), (0.0, 0.0, 255.0), "blue, green, red");
        assert_eq!((tensor[8], tensor[24], tensor[40]), (BORDER, BORDER, BORDER));
    }

    #[test]
    fn the_colours_of_a_picture_of_odd_size_lie_where_its_light_does() {
        let (y, u) = (taps(5, 0, 5), taps(5, 1, 5));
        for (place, (luma, chroma)) in y.iter().zip(&u).enumerate() {
            assert_eq!((luma.first, luma.weight), (place, 0.0));
            let at = chroma.first as f32 + chroma.weight;
            let expected = ((place as f32 + 0.5) / 2.0 - 0.5).clamp(0.0, 2.0);
            assert!((at - expected).abs() < 1e-6, "{at} for {expected}");
        }
    }

    #[test]
    fn limited_range_white_and_black_reach_the_ends() {
        let (y, c) = ([16_u8, 235, 16, 235], [128_u8]);
        let plane = |samples, stride| Plane { samples, stride };
        let picture = PictureView {
            width: 2,
            height: 2,
            planes: Planes::Yuv {
                y: plane(&y, 2),
                u: plane(&c, 1),
                v: plane(&c, 1),
                chroma_shift_x: 1,
                chroma_shift_y: 1,
                matrix: ColorMatrix::Bt709,
                full_range: false,
            },
        };
        let style = InputStyle { placement: Placement::Stretched, is_bgr: false, is_unit_range: true };
        let mut letterbox = Letterbox::new(style);
        letterbox.fill(&picture, (2, 2));
        for (got, expected) in letterbox.tensor().iter().zip([0.0, 1.0].iter().cycle()) {
            assert!((got - expected).abs() < 1e-3, "{got} for {expected}");
        }
    }
}
