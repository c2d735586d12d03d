//! `pigweight jobs`: what is being counted, what waits for it, and in which order.
//!
//! Where a server has the data folder, it is asked, so that what is wanted happens at once. Where none has, the folder's
//! store is read and changed by this command itself, and the next server goes by that.

use super::print;
use crate::args::{JobWish, Jobs as Args};
use crate::config::Config;
use crate::describe::{clock, counted};
use crate::web::client::Client;
use crate::web::jobs::{Job, Jobs, Now};
use anyhow::Context as _;
use pigweight_store::{Error, JobFilter, JobRecord, Store};

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
    match &args.wish {
        None => {
            let filter = JobFilter { state: args.state, video_id: None, limit: args.limit };
            let jobs = runtime.block_on(source.list(&filter))?;
            if args.json { print(json(&jobs)?) } else { print(table(&jobs)) }
        }
        Some(wish) => {
            let job = runtime.block_on(source.change(wish))?;
            if args.json { print(json(&job)?) } else { print(format_args!("{}\n", told(&job))) }
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

    async fn change(&self, wish: &JobWish) -> anyhow::Result<Job> {
        match self {
            Self::Server(client) => client.change_job(wish),
            Self::Store(store) => {
                let changed = change(store, wish).await?;
                Ok(Job::new(&changed, &Now::of(store, None).await?))
            }
        }
    }
}

async fn change(store: &Store, wish: &JobWish) -> pigweight_store::Result<JobRecord> {
    match wish {
        JobWish::Pause { job } => store.pause_job(job, true).await,
        JobWish::Resume { job } => store.pause_job(job, false).await,
        JobWish::Cancel { job } => store.cancel_job(job).await,
        JobWish::Retry { job } => store.retry_job(job).await,
        JobWish::Prioritise { job, priority } => store.prioritise_job(job, *priority).await,
    }
}

fn json(value: &impl serde::Serialize) -> anyhow::Result<String> {
    Ok(serde_json::to_string_pretty(value)? + "\n")
}

/// A line a job; the identifier stands first, to be copied.
fn table(jobs: &Jobs) -> String {
    let open = ["running", "waiting", "paused"].map(|state| jobs.counts.get(state).copied().unwrap_or(0));
    let mut text = String::new();
    for job in &jobs.jobs {
        text += &told(job);
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

fn told(job: &Job) -> String {
    let Job { id, state, video_name, priority, .. } = job;
    let mut text = format!("{id}  {state:<9}  {:>3.0} %  {video_name}", 100.0 * job.progress);
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
        text += &format!("  ({error})");
    }
    text
}
