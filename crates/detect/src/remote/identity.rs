//! The identity of a served model, and comparison with another.
//!
//! A server reports its model's name and version, which an operator may forget to raise. So each server that joins also infers
//! a test picture.

use super::protocol::Described;
use crate::outputs::KeptOutput;
use crate::tensor::{Form, Input, Kind};

/// Relative tolerance for the numbers of one channel: other processors round differently, other weights give other numbers.
const MOST_APART: f32 = 0.25;

/// A server's model.
#[derive(Clone, Debug)]
pub(super) struct Identity {
    pub version: String,
    pub input: Input,
    pub form: Form,
    pub outputs: Vec<Described>,
    /// Its outputs for the test picture.
    pub shown: Vec<KeptOutput>,
}

/// This machine's own copy of the model, which the servers must match.
#[derive(Clone, Debug)]
pub(crate) struct Known {
    pub form: Form,
    pub shown: Vec<KeptOutput>,
}

/// The differences of a server's model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Different(pub String);

impl Identity {
    /// The one input for pictures, and the outputs of a kind that is read.
    pub(super) fn form_of(inputs: &[Described]) -> Result<(Input, Form), String> {
        let found = || inputs.iter().map(describe).collect::<Vec<_>>().join(", ");
        let [only] = inputs else {
            return Err(format!("the model has the inputs [{}], one for pictures is understood", found()));
        };
        let kind = match only.datatype.as_str() {
            "FP32" => Kind::Float32,
            "UINT8" => Kind::Uint8,
            _ => Kind::Other,
        };
        let input = Input { name: only.name.clone(), shape: only.shape.clone(), kind };
        let form = input.form(None).ok_or_else(|| {
            format!("the model's input is {}; understood are FP32 and UINT8 of N×3×H×W or N×H×W×3", found())
        })?;
        Ok((input, form))
    }

    /// Whether a joining server has this model.
    pub(super) fn accept(&self, other: &Self) -> Result<(), Different> {
        if self.version != other.version {
            return Err(self.other_version(&other.version));
        }
        if self.input != other.input || self.outputs != other.outputs {
            return Err(Different(format!(
                "it has {}, at the start it had {}",
                other.describe(),
                self.describe()
            )));
        }
        alike(&self.shown, &other.shown)
    }

    pub(super) fn other_version(&self, found: &str) -> Different {
        Different(format!("its version is {found:?}, at the start it was {:?}", self.version))
    }

    pub(super) fn describe(&self) -> String {
        let Input { name, shape, .. } = &self.input;
        let outputs: Vec<String> = self.outputs.iter().map(describe).collect();
        format!("inputs [{name} {shape:?}], outputs [{}]", outputs.join(", "))
    }

    /// If the file itself isn't accessible: everything that the servers report about it.
    pub(super) fn hash(&self, model: &str) -> String {
        let Self { version, input, outputs, form: _, shown: _ } = self;
        let text = format!("served {model:?} {version:?} {input:?} {outputs:?}");
        blake3::hash(text.as_bytes()).to_hex().to_string()
    }
}

impl Known {
    /// Whether a server's model is this machine's.
    pub(super) fn accept(&self, other: &Identity) -> Result<(), Different> {
        let size = |form: &Form| (form.width, form.height);
        if size(&self.form) != size(&other.form) {
            let ((width, height), (here_width, here_height)) = (size(&other.form), size(&self.form));
            return Err(Different(format!(
                "its input is {width} × {height} px, this machine's own {here_width} × {here_height}"
            )));
        }
        alike(&self.shown, &other.shown)
    }
}

fn describe(tensor: &Described) -> String {
    format!("{} {} {:?}", tensor.name, tensor.datatype, tensor.shape)
}

/// Whether two models returned the same for one picture. Rows may be in another order (heads that choose the best), so numbers are
/// sorted and compared channel by channel.
fn alike(one: &[KeptOutput], other: &[KeptOutput]) -> Result<(), Different> {
    let shapes = |kept: &[KeptOutput]| kept.iter().map(|kept| kept.output.shape.clone()).collect::<Vec<_>>();
    if shapes(one) != shapes(other) {
        return Err(Different(format!("it gives {:?}, expected were {:?}", shapes(other), shapes(one))));
    }
    for (expected, found) in one.iter().zip(other) {
        let (shape, name) = (&expected.output.shape, &expected.output.name);
        for (channel, (expected, found)) in
            channels(shape, &expected.numbers).iter().zip(channels(shape, &found.numbers)).enumerate()
        {
            let apart = apart(expected, &found);
            if apart > MOST_APART {
                return Err(Different(format!(
                    "it gives other numbers for the same picture (output {name}, channel {channel}: {:.0} % apart); serve the \
                     same file everywhere",
                    apart * 100.0
                )));
            }
        }
    }
    Ok(())
}

/// Sorted numbers of each channel. A channel runs along the shorter of the last two sides, for planes along the second.
fn channels(shape: &[usize], numbers: &[f32]) -> Vec<Vec<f32>> {
    let (count, is_last) = match *shape {
        [1, rows, columns] if columns <= rows => (columns, true),
        [1, channels, ..] => (channels, false),
        _ => (1, false),
    };
    let count = count.max(1);
    let each = numbers.len() / count;
    let mut channels: Vec<Vec<f32>> = (0..count)
        .map(|channel| {
            let numbers: Vec<f32> = if is_last {
                numbers.iter().skip(channel).step_by(count).copied().collect()
            } else {
                numbers[channel * each..(channel + 1) * each].to_vec()
            };
            numbers.into_iter().map(|number| if number.is_finite() { number } else { 0.0 }).collect()
        })
        .collect();
    for channel in &mut channels {
        channel.sort_by(f32::total_cmp);
    }
    channels
}

/// The mean difference divided by the mean magnitude.
fn apart(expected: &[f32], found: &[f32]) -> f32 {
    let sum = |numbers: &mut dyn Iterator<Item = f32>| numbers.map(f32::abs).map(f64::from).sum::<f64>();
    let difference = sum(&mut expected.iter().zip(found).map(|(one, other)| one - other));
    let size = sum(&mut expected.iter().copied());
    // Smaller numbers are only rounding.
    (difference / (size + 1e-5 * expected.len() as f64)) as f32
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layout::Output;

    fn kept(shape: &[usize], numbers: Vec<f32>) -> Vec<KeptOutput> {
        vec![KeptOutput { output: Output { name: "output0".into(), shape: shape.to_vec() }, numbers }]
    }

    /// Three numbers a row, the last a score that is small everywhere.
    fn rows(offset: f32, score: f32) -> Vec<f32> {
        (0..40).flat_map(|row| [row as f32 + offset, 20.0, score * (1.0 + row as f32 / 40.0)]).collect()
    }

    #[test]
    fn another_processor_rounds_and_another_model_differs() {
        let here = kept(&[1, 40, 3], rows(0.0, 1e-3));
        let rounded = kept(&[1, 40, 3], rows(0.05, 1.02e-3));
        assert_eq!(alike(&here, &rounded), Ok(()));
        // Boxes nearly the same, scores not: like two trainings of one model.
        let trained_on = kept(&[1, 40, 3], rows(0.05, 3e-3));
        assert!(alike(&here, &trained_on).is_err_and(|message| message.0.contains("channel 2")));
        assert!(alike(&here, &kept(&[1, 39, 3], vec![0.0; 117])).is_err());
    }

    #[test]
    fn rows_in_another_order_are_the_same_rows() {
        let here = rows(0.0, 0.5);
        let turned: Vec<f32> = here.chunks(3).rev().flatten().copied().collect();
        assert_eq!(alike(&kept(&[1, 40, 3], here), &kept(&[1, 40, 3], turned)), Ok(()));
    }

    #[test]
    fn the_version_is_part_of_the_model_identity() {
        let described =
            |name: &str| Described { name: name.into(), datatype: "FP32".into(), shape: vec![1, 3, 32, 32] };
        let identity = |version: &str| {
            let (input, form) = Identity::form_of(&[described("images")]).expect("pictures");
            Identity {
                version: version.into(),
                input,
                form,
                outputs: vec![described("o")],
                shown: Vec::new(),
            }
        };
        let (one, two) = (identity("1"), identity("2"));
        assert_eq!(one.accept(&identity("1")), Ok(()));
        assert!(
            one.accept(&two).is_err_and(|message| message.0.contains("\"2\"") && message.0.contains("\"1\""))
        );
        assert_ne!(one.hash("pigs"), two.hash("pigs"));
        assert_ne!(one.hash("pigs"), one.hash("sows"));
        assert!(
            Identity::form_of(&[]).is_err() && Identity::form_of(&[described("a"), described("b")]).is_err()
        );
    }
}
