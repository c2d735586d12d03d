//! Where a model's numbers come from: a session of ONNX Runtime on this machine, or inference servers.
//!
//! Both take letterboxed pictures and give the same outputs, so that everything after it — boxes, suppression, masks — is one code.

use crate::device::Device;
use crate::error::{Error, Result};
use crate::layout::{Head, Layout, Output};
use crate::remote::Pool;
use crate::session::Session;
use crate::tensor::Form;
use std::sync::Arc;

/// One output of a run: its numbers in order, those of the first picture first.
#[derive(Clone, Copy)]
pub(crate) struct View<'a> {
    pub name: &'a str,
    pub shape: &'a [i64],
    pub numbers: &'a [f32],
}

/// An output that is kept.
#[derive(Clone, Debug)]
pub(crate) struct Kept {
    pub output: Output,
    pub numbers: Vec<f32>,
}

pub(crate) enum Backend {
    /// On one of this machine's devices.
    Local(Session, Device),
    /// On servers.
    Remote(Arc<Pool>),
    /// Fails at every run: a device that has vanished.
    #[cfg(test)]
    Broken(Form, Device),
}

impl Backend {
    pub(crate) fn device(&self) -> Device {
        match self {
            Self::Local(_, device) => *device,
            Self::Remote(_) => Device::Remote,
            #[cfg(test)]
            Self::Broken(_, device) => *device,
        }
    }

    /// How pictures are laid out for it.
    ///
    /// # Errors
    /// Where that is not known: no server has answered yet.
    pub(crate) fn form(&self) -> Result<Form> {
        match self {
            Self::Local(session, _) => session
                .form()
                .ok_or_else(|| Error::Run { reason: "the model takes no pictures any more".to_owned() }),
            Self::Remote(pool) => pool.form(),
            #[cfg(test)]
            Self::Broken(form, _) => Ok(*form),
        }
    }

    /// Runs letterboxed pictures, as many as the form takes at the most, and hands the outputs to `read`.
    pub(crate) fn run<T>(
        &mut self,
        tensors: &[&[f32]],
        is_unit_range: bool,
        read: impl FnOnce(&[View<'_>]) -> Result<T>,
    ) -> Result<T> {
        let form = self.form()?;
        let (samples, shape) = (form.lay_out(tensors, is_unit_range), form.shape(tensors.len()));
        match self {
            Self::Local(session, _) => session.run(&samples, shape, read)?,
            Self::Remote(pool) => {
                let outputs = pool.run(&samples, shape)?;
                let shapes: Vec<Vec<i64>> = outputs.iter().map(|kept| shape_of(&kept.output)).collect();
                let views: Vec<View<'_>> = outputs
                    .iter()
                    .zip(&shapes)
                    .map(|(kept, shape)| View { name: &kept.output.name, shape, numbers: &kept.numbers })
                    .collect();
                read(&views)
            }
            #[cfg(test)]
            Self::Broken(_, device) => Err(Error::Run { reason: format!("{device} is gone") }),
        }
    }

    /// Runs the model once on a picture that is always the same: what comes out has shapes without open sizes.
    pub(crate) fn probe(&mut self) -> Result<Vec<Kept>> {
        let pattern = self.form()?.pattern();
        self.run(&[&pattern], true, |views| Ok(keep(views)))
    }
}

fn shape_of(output: &Output) -> Vec<i64> {
    output.shape.iter().map(|&size| size as i64).collect()
}

pub(crate) fn keep(views: &[View<'_>]) -> Vec<Kept> {
    let kept = |view: &View<'_>| {
        let shape = view.shape.iter().map(|&size| usize::try_from(size).unwrap_or(0)).collect();
        let output = Output { name: view.name.to_owned(), shape };
        Kept { output, numbers: view.numbers.to_vec() }
    };
    views.iter().map(kept).collect()
}

/// Whether a run of `pictures` gave what the probe of one promised. Rows of heads that suppress doubles themselves may be fewer or
/// more.
pub(crate) fn check(views: &[View<'_>], promised: &[Output], layout: &Layout, pictures: usize) -> Result<()> {
    let is_open = matches!(layout.head, Head::EndToEnd | Head::Detr);
    let fits = |view: &View<'_>, promised: &Output| {
        view.shape.len() == promised.shape.len()
            && view.shape.iter().zip(&promised.shape).enumerate().all(
                |(place, (&found, &size))| match place {
                    0 => found == pictures as i64,
                    1 if is_open && promised.shape.len() == 3 => found >= 0,
                    _ => found == size as i64,
                },
            )
            && view.numbers.len() as i64 == view.shape.iter().product::<i64>()
    };
    if views.len() == promised.len()
        && views.iter().zip(promised).all(|(view, promised)| fits(view, promised))
    {
        return Ok(());
    }
    let found: Vec<String> = views.iter().map(|view| format!("{} {:?}", view.name, view.shape)).collect();
    let expected: Vec<String> =
        promised.iter().map(|output| format!("{} {:?}", output.name, output.shape)).collect();
    Err(Error::Outputs {
        reason: format!(
            "for {pictures} at once it gave [{}], when it was loaded [{}]",
            found.join(", "),
            expected.join(", ")
        ),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outputs_of_another_shape_than_promised_are_refused() {
        let promised = [Output { name: "output0".into(), shape: vec![1, 5, 1260] }];
        let layout = |head| Layout {
            head,
            boxes_output: 0,
            scores_output: 0,
            rows: 1260,
            classes: 1,
            prototypes: None,
        };
        let told = |shape: &[i64], numbers: usize, head, pictures| {
            let numbers = vec![0.0; numbers];
            check(&[View { name: "output0", shape, numbers: &numbers }], &promised, &layout(head), pictures)
        };
        assert!(told(&[1, 5, 1260], 6300, Head::Yolov8, 1).is_ok());
        assert!(told(&[2, 5, 1260], 12600, Head::Yolov8, 2).is_ok());
        assert!(told(&[1, 5, 1260], 6300, Head::Yolov8, 2).is_err(), "one answer for two pictures");
        assert!(told(&[1, 5, 1260], 6299, Head::Yolov8, 1).is_err(), "numbers are missing");
        assert!(told(&[1, 6, 1260], 7560, Head::Yolov8, 1).is_err());
        assert!(told(&[1, 4, 1260], 5040, Head::EndToEnd, 1).is_ok(), "rows may be fewer");
        assert!(check(&[], &promised, &layout(Head::Yolov8), 1).is_err());
    }
}
