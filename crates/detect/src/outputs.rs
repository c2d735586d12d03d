//! The outputs of a run: borrowed from a backend, or owned.

use crate::error::{Error, Result};
use crate::layout::{Head, Layout, Output};

/// One output of a run: its numbers in order, those of the first picture first.
#[derive(Clone, Copy)]
pub(crate) struct OutputView<'a> {
    pub name: &'a str,
    pub shape: &'a [i64],
    pub numbers: &'a [f32],
}

/// An owned output.
#[derive(Clone, Debug)]
pub(crate) struct KeptOutput {
    pub output: Output,
    pub numbers: Vec<f32>,
}

pub(crate) fn keep(views: &[OutputView<'_>]) -> Vec<KeptOutput> {
    let kept = |view: &OutputView<'_>| {
        let shape = view.shape.iter().map(|&size| usize::try_from(size).unwrap_or(0)).collect();
        let output = Output { name: view.name.to_owned(), shape };
        KeptOutput { output, numbers: view.numbers.to_vec() }
    };
    views.iter().map(kept).collect()
}

/// Whether a run of `pictures` returned the outputs expected from the probe, as far as they are read. Heads that suppress duplicates
/// themselves may return fewer or more rows.
pub(crate) fn check(
    views: &[OutputView<'_>],
    promised: &[Output],
    layout: &Layout,
    pictures: usize,
) -> Result<()> {
    let is_open = layout.head.is_suppressed();
    // Rows of all pictures together couldn't be told apart here.
    let are_together = layout.head == Head::NmsRows;
    let prototypes = layout.prototypes.map(|prototypes| prototypes.output);
    let is_read = |output: usize| {
        [layout.boxes_output, layout.scores_output].contains(&output)
            || layout.labels_output == Some(output)
            || prototypes == Some(output)
    };
    let fits = |view: &OutputView<'_>, promised: &Output| {
        view.shape.len() == promised.shape.len()
            && view.shape.iter().zip(&promised.shape).enumerate().all(
                |(place, (&found, &size))| match place {
                    0 if are_together => found >= 0 && pictures == 1,
                    0 => found == pictures as i64,
                    1 if is_open && promised.shape.len() <= 3 => found >= 0,
                    _ => found == size as i64,
                },
            )
            && view.numbers.len() as i64 == view.shape.iter().product::<i64>()
    };
    if views.len() == promised.len()
        && views
            .iter()
            .zip(promised)
            .enumerate()
            .all(|(output, (view, promised))| !is_read(output) || fits(view, promised))
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
            labels_output: None,
            rows: 1260,
            classes: 1,
            prototypes: None,
            is_normalised: false,
        };
        let check_shape = |shape: &[i64], numbers: usize, head, pictures| {
            let numbers = vec![0.0; numbers];
            check(
                &[OutputView { name: "output0", shape, numbers: &numbers }],
                &promised,
                &layout(head),
                pictures,
            )
        };
        assert!(check_shape(&[1, 5, 1260], 6300, Head::Yolov8, 1).is_ok());
        assert!(check_shape(&[2, 5, 1260], 12600, Head::Yolov8, 2).is_ok());
        assert!(check_shape(&[1, 5, 1260], 6300, Head::Yolov8, 2).is_err(), "one answer for two pictures");
        assert!(check_shape(&[1, 5, 1260], 6299, Head::Yolov8, 1).is_err(), "numbers are missing");
        assert!(check_shape(&[1, 6, 1260], 7560, Head::Yolov8, 1).is_err());
        assert!(check_shape(&[1, 4, 1260], 5040, Head::EndToEnd, 1).is_ok(), "rows may be fewer");
        assert!(check(&[], &promised, &layout(Head::Yolov8), 1).is_err());
    }
}
