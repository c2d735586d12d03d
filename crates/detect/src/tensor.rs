//! Model inputs: their description, and letterboxed planes laid out for them.
//!
//! Letterboxes are float32, channel by channel. They are converted for models with inputs of bytes or interleaved channels.

use half::f16;
use std::borrow::Cow;

/// Input size if the model's is dynamic.
const DEFAULT_INPUT_PX: i64 = 640;

/// A model's input, as it states itself.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Input {
    pub name: String,
    /// −1 if it is dynamic.
    pub shape: Vec<i64>,
    pub kind: Kind,
}

/// The type of an input's numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Float32,
    /// Half precision.
    Float16,
    /// 0 to 255.
    Uint8,
    /// Not supported for pictures.
    Other,
}

/// The layout of pictures for an input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Form {
    pub width: usize,
    pub height: usize,
    /// Any but [`Kind::Other`].
    pub kind: Kind,
    /// Interleaved channels.
    pub is_channels_last: bool,
    /// Batch size; `None`: any.
    pub pictures: Option<usize>,
}

impl Input {
    /// `None` if this isn't an input for pictures. `open_size`: width and height, px, where the input itself leaves them open.
    pub(crate) fn form(&self, open_size: Option<[i64; 2]>) -> Option<Form> {
        let kind = self.kind;
        if kind == Kind::Other {
            return None;
        }
        let (pictures, height, width, is_channels_last) = match self.shape[..] {
            [pictures, 3, height, width] => (pictures, height, width, false),
            [pictures, height, width, 3] => (pictures, height, width, true),
            [pictures, -1, height, width] => (pictures, height, width, false),
            _ => return None,
        };
        let [open_width, open_height] = open_size.unwrap_or([DEFAULT_INPUT_PX; 2]);
        let size = |stated: i64, open: i64| usize::try_from(if stated > 0 { stated } else { open }).ok();
        let pictures = usize::try_from(pictures).ok().filter(|&pictures| pictures > 0);
        let (width, height) = (size(width, open_width)?, size(height, open_height)?);
        Some(Form { width, height, kind, is_channels_last, pictures })
    }
}

/// Pictures laid out.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Samples<'a> {
    Floats(Cow<'a, [f32]>),
    Halves(Vec<f16>),
    Bytes(Vec<u8>),
}

impl Form {
    /// The shape for this many pictures.
    pub(crate) fn shape(&self, pictures: usize) -> [i64; 4] {
        let [pictures, width, height] = [pictures, self.width, self.height].map(|size| size as i64);
        if self.is_channels_last { [pictures, height, width, 3] } else { [pictures, 3, height, width] }
    }

    /// The same shape at another width, in multiples of `stride` px.
    pub(crate) fn of_width(&self, width: usize, stride: usize) -> Self {
        let height = self.height as f32 * width as f32 / self.width.max(1) as f32;
        Self { width, height: ((height / stride as f32).round() as usize).max(1) * stride, ..*self }
    }

    /// The part of it that a picture of `width` × `height` px covers at the scale of the whole, in multiples of `stride` px; the
    /// rest is border. For a portrait picture a wide input is rotated.
    pub(crate) fn trimmed(&self, width: u32, height: u32, stride: usize) -> Self {
        let is_across =
            (self.width > self.height && width < height) || (self.width < self.height && width > height);
        let (whole_width, whole_height) =
            if is_across { (self.height, self.width) } else { (self.width, self.height) };
        let scale =
            (whole_width as f32 / width.max(1) as f32).min(whole_height as f32 / height.max(1) as f32);
        let side = |picture_px: u32, whole_px: usize| {
            let filled = ((picture_px as f32 * scale - 1e-3).ceil() as usize).max(1);
            (filled.div_ceil(stride) * stride).min(whole_px)
        };
        Self { width: side(width, whole_width), height: side(height, whole_height), ..*self }
    }

    /// Lays out letterboxed pictures, each 3 × height × width. A single one that already has the layout isn't copied.
    pub(crate) fn lay_out<'a>(&self, tensors: &[&'a [f32]], is_unit_range: bool) -> Samples<'a> {
        if let [tensor] = tensors
            && self.kind == Kind::Float32
            && !self.is_channels_last
        {
            return Samples::Floats(Cow::Borrowed(tensor));
        }
        let all = tensors.iter().flat_map(|tensor| self.in_order(tensor));
        match self.kind {
            Kind::Uint8 => {
                let factor = if is_unit_range { 255.0 } else { 1.0 };
                Samples::Bytes(all.map(|number| (number * factor).round().clamp(0.0, 255.0) as u8).collect())
            }
            Kind::Float16 => Samples::Halves(all.map(f16::from_f32).collect()),
            Kind::Float32 | Kind::Other => Samples::Floats(Cow::Owned(all.collect())),
        }
    }

    fn in_order<'a>(&self, tensor: &'a [f32]) -> impl Iterator<Item = f32> + use<'a> {
        let plane = self.width * self.height;
        let is_channels_last = self.is_channels_last;
        (0..tensor.len())
            .map(move |place| tensor[if is_channels_last { place % 3 * plane + place / 3 } else { place }])
    }

    /// A fixed test picture with varied content: blocks of different sizes and colours, 0 to 1.
    pub(crate) fn pattern(&self) -> Vec<f32> {
        let mut tensor = Vec::with_capacity(3 * self.width * self.height);
        for channel in 0..3_u32 {
            for y in 0..self.height as u32 {
                for x in 0..self.width as u32 {
                    let shade = |block: u32| {
                        let mixed = (x / block).wrapping_mul(0x9E37_79B1)
                            ^ (y / block).wrapping_mul(0x85EB_CA77)
                            ^ channel.wrapping_mul(0xC2B2_AE3D);
                        (mixed.wrapping_mul(0x27D4_EB2F) >> 24) as f32 / 255.0
                    };
                    tensor.push(0.5 * shade(48) + 0.3 * shade(16) + 0.2 * shade(5));
                }
            }
        }
        tensor
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::letterbox::{Fit, Placement};

    fn form(kind: Kind, shape: &[i64]) -> Option<Form> {
        Input { name: "images".into(), shape: shape.to_vec(), kind }.form(None)
    }

    #[test]
    fn picture_inputs_are_distinguished_from_others() {
        let planes = form(Kind::Float32, &[1, 3, 192, 320]).expect("planes");
        assert_eq!((planes.width, planes.height, planes.pictures), (320, 192, Some(1)));
        let pixels = form(Kind::Uint8, &[-1, 192, 320, 3]).expect("pixels");
        assert_eq!((pixels.width, pixels.height, pixels.pictures), (320, 192, None));
        assert!(pixels.kind == Kind::Uint8 && pixels.is_channels_last);
        let open = form(Kind::Float32, &[-1, -1, -1, -1]).expect("open");
        assert_eq!((open.width, open.height), (640, 640));
        let half_open = Input { name: "images".into(), shape: vec![1, 3, -1, 320], kind: Kind::Float32 };
        let stated = half_open.form(Some([512, 256])).expect("open");
        assert_eq!((stated.width, stated.height), (320, 256));
        assert_eq!(form(Kind::Other, &[1, 3, 192, 320]), None);
        assert_eq!(form(Kind::Float32, &[1, 1, 192, 320]), None);
        assert_eq!(form(Kind::Float32, &[3, 192, 320]), None);
    }

    #[test]
    fn a_trimmed_input_holds_the_whole_picture_at_the_same_scale() {
        let whole =
            Form { width: 416, height: 416, kind: Kind::Float32, is_channels_last: false, pictures: Some(1) };
        let cases = [
            ((640, 360), (416, 256)),
            ((1920, 1080), (416, 256)),
            ((640, 480), (416, 320)),
            ((360, 640), (256, 416)),
            ((500, 500), (416, 416)),
            ((4000, 20), (416, 32)),
            ((1, 1), (416, 416)),
            // 256.1 px high: a row more than 256.
            ((1625, 1001), (416, 288)),
        ];
        for ((width, height), expected) in cases {
            let trimmed = whole.trimmed(width, height, 32);
            assert_eq!((trimmed.width, trimmed.height), expected, "{width} × {height}");
            let fits = |form: Form| Fit::new(width, height, form.width, form.height, Placement::TopLeft);
            assert_eq!(fits(trimmed), fits(whole), "{width} × {height}");
        }
    }

    #[test]
    fn a_landscape_input_is_rotated_for_a_portrait_picture() {
        let wide =
            Form { width: 640, height: 384, kind: Kind::Float32, is_channels_last: false, pictures: Some(1) };
        let high = Form { width: 384, height: 640, ..wide };
        let cases = [
            ((1920, 1080), (640, 384)),
            ((640, 480), (512, 384)),
            ((500, 500), (384, 384)),
            ((1080, 1920), (384, 640)),
            ((480, 640), (384, 512)),
        ];
        for ((width, height), expected) in cases {
            for form in [wide, high] {
                let trimmed = form.trimmed(width, height, 32);
                assert_eq!((trimmed.width, trimmed.height), expected, "{width} × {height}");
            }
        }
    }

    #[test]
    fn bytes_beside_each_other_are_the_same_picture() {
        let form = Form { width: 2, height: 1, kind: Kind::Uint8, is_channels_last: true, pictures: None };
        let tensor: [f32; 6] = [0.0, 1.0, 0.2, 0.4, 0.6, 0.8];
        let twice = form.lay_out(&[&tensor, &tensor], true);
        assert_eq!(twice, Samples::Bytes([0, 51, 153, 255, 102, 204].repeat(2)));
        assert_eq!(form.shape(2), [2, 1, 2, 3]);
        let halves = Form { kind: Kind::Float16, ..form }.lay_out(&[&tensor], true);
        assert_eq!(halves, Samples::Halves([0.0, 0.2, 0.6, 1.0, 0.4, 0.8].map(f16::from_f32).to_vec()));
        let planes = Form { kind: Kind::Float32, is_channels_last: false, ..form };
        assert!(matches!(planes.lay_out(&[&tensor], true), Samples::Floats(Cow::Borrowed(_))));
    }
}
