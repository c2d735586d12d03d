//! Counts lines over runs where they haven't been counted yet: at the start what an earlier process left, then whenever a line is
//! added or moved, or another run is published. Checkpoints count their own frames.

use crate::background::job_context::JobContext;
use crate::reason::Reasoned as _;
use tokio::runtime::Handle;

/// Works until it is stopped. Blocks: give it its own thread.
pub fn work(context: &JobContext, runtime: &Handle, woken: &crossbeam_channel::Receiver<()>) {
    while !context.cancellation.is_over() {
        if let Err(error) = count_all(context, runtime) {
            context.status.report_trouble(&error.reason());
        }
        if woken.recv().is_err() {
            return;
        }
    }
}

/// One pass over all runs that are shown or in progress. Runs with a line that can't be counted are skipped.
fn count_all(context: &JobContext, runtime: &Handle) -> pigweight_store::Result<()> {
    let mut after: Option<String> = None;
    loop {
        let runs = runtime.block_on(context.store.runs_behind_on_lines(after.as_deref()))?;
        let Some(last) = runs.last() else { return Ok(()) };
        after = Some(last.clone());
        for run in &runs {
            loop {
                if context.cancellation.is_over() {
                    return Ok(());
                }
                match runtime.block_on(context.store.fold_some_chunks(run)) {
                    Ok(true) => {}
                    Ok(false) => break,
                    Err(error) if error.is_storage_trouble() => return Err(error),
                    Err(error) => {
                        tracing::warn!("the lines of run {run} are not counted: {error}");
                        break;
                    }
                }
            }
        }
    }
}
