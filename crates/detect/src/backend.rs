//! A model's backend: an ONNX Runtime session on this machine, or inference servers.
//!
//! Both take letterboxed pictures and return the same outputs, so everything after them — boxes, suppression, masks — is one code path.

use crate::device::Device;
use crate::error::{Error, Result};
use crate::layout::Output;
use crate::outputs::{KeptOutput, OutputView, keep};
use crate::remote::Pool;
use crate::session::Session;
use crate::tensor::Form;
use std::sync::Arc;

pub(crate) enum Backend {
    /// On one of this machine's devices.
    Local(Session, Device),
    /// On servers.
    Remote(Arc<Pool>),
    /// Fails at every run, like a lost device.
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

    /// Its layout of pictures.
    ///
    /// # Errors
    /// If it isn't known: no server has responded yet.
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

    /// Runs letterboxed pictures, at most as many as the form allows, and passes the outputs to `read`.
    pub(crate) fn run<T>(
        &mut self,
        tensors: &[&[f32]],
        is_unit_range: bool,
        read: impl FnOnce(&[OutputView<'_>]) -> Result<T>,
    ) -> Result<T> {
        let form = self.form()?;
        let samples = form.lay_out(tensors, is_unit_range);
        match self {
            Self::Local(session, _) => session.run(&samples, &form, tensors.len(), read)?,
            Self::Remote(pool) => {
                let outputs = pool.run(&samples, form.shape(tensors.len()))?;
                let shapes: Vec<Vec<i64>> = outputs.iter().map(|kept| shape_of(&kept.output)).collect();
                let views: Vec<OutputView<'_>> = outputs
                    .iter()
                    .zip(&shapes)
                    .map(|(kept, shape)| OutputView {
                        name: &kept.output.name,
                        shape,
                        numbers: &kept.numbers,
                    })
                    .collect();
                read(&views)
            }
            #[cfg(test)]
            Self::Broken(_, device) => Err(Error::Run { reason: format!("{device} is gone") }),
        }
    }

    /// Runs the model once on the test picture: its outputs have shapes without dynamic sizes.
    pub(crate) fn probe(&mut self) -> Result<Vec<KeptOutput>> {
        let pattern = self.form()?.pattern();
        self.run(&[&pattern], true, |views| Ok(keep(views)))
    }
}

fn shape_of(output: &Output) -> Vec<i64> {
    output.shape.iter().map(|&size| size as i64).collect()
}
