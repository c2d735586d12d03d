//! `pigweight check-data`: verifies a data folder, like fsck. Read-only.

use super::{CannotRun, Findings, print};
use crate::args::CheckData;
use crate::artifacts::folder_check;
use crate::config::Config;
use crate::describe::counted;
use anyhow::Context as _;
use pigweight_store::{CheckedStore, Finding, Store};
use serde::Serialize;
use std::path::Path;

/// Other programs rely on these names.
#[derive(Serialize)]
struct Document<'a> {
    folder: String,
    findings: Vec<FindingEntry<'a>>,
    runs: u64,
    frames: u64,
    crossings: u64,
}

#[derive(Serialize)]
struct FindingEntry<'a> {
    code: &'a str,
    text: &'a str,
}

pub fn run(args: &CheckData) -> anyhow::Result<()> {
    let config = Config::load(args.config.as_deref())?;
    let folder = args.data.clone().unwrap_or(config.data);
    let mut findings = Vec::new();
    let mut report = |finding: Finding| {
        if !args.json {
            // If stdout is closed, its reader has enough: the exit code has the result.
            let _closed = print(format_args!("{}: {}\n", finding.code, finding.text));
        }
        findings.push(finding);
    };
    let checked = check(&folder, &mut report).map_err(|error| CannotRun(format!("{error:#}")))?;
    let CheckedStore { runs, frames, crossings } = checked;
    if args.json {
        let entries =
            findings.iter().map(|finding| FindingEntry { code: finding.code, text: &finding.text }).collect();
        let document =
            Document { folder: folder.display().to_string(), findings: entries, runs, frames, crossings };
        print(serde_json::to_string_pretty(&document)? + "\n")?;
    } else if findings.is_empty() {
        print(format_args!(
            "{} is sound: {} with {} and {} agree with each other\n",
            folder.display(),
            counted(runs.cast_signed(), "run"),
            counted(frames.cast_signed(), "frame"),
            counted(crossings.cast_signed(), "crossing")
        ))?;
    }
    if findings.is_empty() { Ok(()) } else { Err(Findings(findings.len()).into()) }
}

fn check(folder: &Path, report: &mut (dyn FnMut(Finding) + Send)) -> anyhow::Result<CheckedStore> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let store = Store::open_read_only(folder).await?;
        let checked = store.check(report).await?;
        let files = folder_check::check(folder, &store, report).await;
        store.close().await;
        files.with_context(|| format!("cannot read {}", folder.display()))?;
        Ok(checked)
    })
}
