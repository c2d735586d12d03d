//! `pigweight jobs`: the queue: running and waiting jobs in order.
//!
//! If a server uses the data folder, the command asks it, so changes apply at once. Otherwise the command reads and changes the folder's
//! store itself, and the next server continues from there.

use super::print;
use crate::args::{JobAction, Jobs as Args};
use crate::config::Config;
use crate::describe::{clock, counted, printable};
use crate::web::api::jobs::{Job, Jobs, QueueContext};
use crate::web::client::Client;
use anyhow::Context as _;
use pigweight_store::{Error, JobFilter, JobRecord, Store};

/// Fewer characters are ambiguous.
const LEAST_TYPED: usize = 4;
/// Number of last characters of a name that are shown ([`pigweight_store::JobFilter::named`] accepts them): of a million jobs, hardly two end alike.
const SHORT: usize = 8;
/// The most jobs listed if a name is ambiguous.
const MOST_MEANT: u32 = 5;

pub fn run(args: &Args) -> anyhow::Result<()> {
    let config = Config::load(args.config.as_deref())?;
    let data = args.data.clone().unwrap_or(config.data);
    anyhow::ensure!(
        Store::is_in(&data),
        "{} is no data folder; name the one of the server with --data DIR",
        data.display()
    );
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let source = match runtime.block_on(Store::open(&data)) {
        Ok(store) => Source::Store(store),
        Err(Error::FolderInUse { folder }) => {
            let address = Store::owner(&folder).with_context(|| {
                format!("{} is in use by a pigweight that is no server; wait for its end", folder.display())
            })?;
            Source::Server(Client::new(&address))
        }
        Err(error) => return Err(error.into()),
    };
    match &args.action {
        None => {
            let filter = JobFilter { state: args.state, limit: args.limit, ..JobFilter::default() };
            let jobs = runtime.block_on(source.list(&filter))?;
            if args.json { print(json(&jobs)?) } else { print(table(&jobs)) }
        }
        Some(action) => {
            let job = runtime.block_on(source.change(action))?;
            if args.json { print(json(&job)?) } else { print(format_args!("{}\n", job_line(&job))) }
        }
    }
}

enum Source {
    Server(Client),
    Store(Store),
}

impl Source {
    async fn list(&self, filter: &JobFilter) -> anyhow::Result<Jobs> {
        match self {
            Self::Server(client) => client.jobs(filter),
            Self::Store(store) => Ok(Jobs::of(store, filter, None).await?),
        }
    }

    async fn change(&self, action: &JobAction) -> anyhow::Result<Job> {
        let id = self.whole_name(action.job()).await?;
        match self {
            Self::Server(client) => client.change_job(&id, action),
            Self::Store(store) => {
                let changed = change(store, &id, action).await?;
                Ok(Job::new(&changed, &QueueContext::of(store, None).await?))
            }
        }
    }

    /// Finds the one job whose name begins or ends like this.
    async fn whole_name(&self, typed: &str) -> anyhow::Result<String> {
        anyhow::ensure!(
            typed.chars().count() >= LEAST_TYPED,
            "{typed:?} is too short for a job's name; type {LEAST_TYPED} characters at least, of what `pigweight jobs` shows, of its \
             end, or of the whole name's beginning"
        );
        let filter = JobFilter { named: Some(typed.to_owned()), limit: MOST_MEANT, ..JobFilter::default() };
        let meant = self.list(&filter).await?.jobs;
        match &meant[..] {
            [] => Err(Error::NotFound { kind: "job", id: typed.to_owned() }.into()),
            [one] => Ok(one.id.clone()),
            several => {
                let list = several.iter().map(|job| format!("{} ({})", job.id, job.video_name));
                let more = if several.len() == MOST_MEANT as usize { ", …" } else { "" };
                anyhow::bail!(
                    "{typed:?} may mean several jobs; type more of one of {}{more}",
                    list.collect::<Vec<_>>().join(", ")
                )
            }
        }
    }
}

async fn change(store: &Store, id: &str, action: &JobAction) -> pigweight_store::Result<JobRecord> {
    match action {
        JobAction::Pause { .. } => store.pause_job(id, true).await,
        JobAction::Resume { .. } => store.pause_job(id, false).await,
        JobAction::Cancel { .. } => store.cancel_job(id).await,
        JobAction::Retry { .. } => store.retry_job(id).await,
        JobAction::Prioritise { priority, .. } => store.prioritise_job(id, *priority).await,
    }
}

/// The end of a name, which identifies a job: names begin with the time, so those of jobs created together begin alike.
fn short(id: &str) -> &str {
    id.get(id.len().saturating_sub(SHORT)..).unwrap_or(id)
}

fn json(value: &impl serde::Serialize) -> anyhow::Result<String> {
    Ok(serde_json::to_string_pretty(value)? + "\n")
}

/// One line per job; its short name comes first, for copying. The full name is in the JSON.
fn table(jobs: &Jobs) -> String {
    let open = ["running", "waiting", "paused"].map(|state| jobs.counts.get(state).copied().unwrap_or(0));
    let mut text = String::new();
    for job in &jobs.jobs {
        text += &job_line(job);
        text.push('\n');
    }
    let left = jobs.eta_secs.map_or_else(String::new, |secs| format!(", {} left", clock(secs)));
    let [running, waiting, paused] = open;
    text += &format!("{} running, {waiting} waiting, {paused} paused{left}\n", counted(running, "job"));
    if let Some(error) = &jobs.error {
        text += &format!("Nothing is counted now: {error}\n");
    }
    if jobs.without_job > 0 {
        text += &format!(
            "{} without a job: it is made when the model is known\n",
            counted(jobs.without_job, "video")
        );
    }
    text
}

fn job_line(job: &Job) -> String {
    let Job { id, state, video_name, priority, .. } = job;
    let name = printable(video_name);
    let mut text = format!("{}  {state:<9}  {:>3.0} %  {name}", short(id), 100.0 * job.progress);
    if job.is_replaced {
        text += "  replaced by another file";
    }
    if *priority != 0 {
        text += &format!("  priority {priority}");
    }
    if let Some(rate) = job.frames_per_sec {
        text += &format!("  {rate:.0} frames/s");
    }
    if let Some(secs) = job.eta_secs {
        text += &format!("  {} left", clock(secs));
    }
    if let Some(error) = &job.error {
        text += &format!("  ({})", printable(error));
    }
    text
}
