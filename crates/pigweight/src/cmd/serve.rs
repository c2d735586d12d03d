//! `pigweight serve`: the page, the API and the work behind them.

use super::{configure, print};
use crate::args::Serve;
use crate::artifacts::previews::Previews;
use crate::background::cancellation::Work;
use crate::background::detector_slot::{self, Detecting};
use crate::background::folder_watcher::Lookout;
use crate::background::idle_thread;
use crate::background::job_planner::Enlisting;
use crate::background::job_worker::{Analyser, MOST_STARTS, ended_too_often};
use crate::background::video_indexer::Preparer;
use crate::config::Config;
use crate::describe::counted;
use crate::reason::Reasoned as _;
use crate::sources::open_videos::Openings;
use crate::sources::uploads::Uploads;
use crate::status::Live;
use crate::web::App;
use crate::web::VideoPool;
use crate::web::router;
use anyhow::Context as _;
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder};
use pigweight_detect::service::Inference;
use pigweight_detect::{Device, Model};
use pigweight_media::isolate::Workers;
use pigweight_store::Store;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Seconds: from a cached answer to a frame out of a long GOP.
const LATENCY_BUCKETS: [f64; 11] = [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 5.0];

/// Files that nobody has asked for so long are closed.
const RELEASE_AFTER: Duration = Duration::from_secs(120);
/// Jobs are held anew so often, well within the time for which they are held, and measurements are added up.
const HOLD_AFTER: Duration = Duration::from_secs(20);
/// How long a folder is waited for that somebody else has.
const LET_GO_WITHIN: Duration = Duration::from_secs(2);
const LET_GO_TRIES: u32 = 40;
/// What answers that are under way get when the server is asked to stop.
const LAST_ANSWERS: Duration = Duration::from_secs(2);

pub fn run(args: Serve) -> anyhow::Result<()> {
    let mut config = configure(&args.model)?;
    if !args.videos.is_empty() {
        config.videos = args.videos;
    }
    config.data = args.data.unwrap_or(config.data);
    config.listen = args.listen.unwrap_or(config.listen);
    for folder in &config.videos {
        anyhow::ensure!(
            folder.is_dir(),
            "{} is not a folder; name a folder of videos with --videos DIR",
            folder.display()
        );
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let ended = runtime.block_on(serve(config));
    // Files that are being read from end to end are not waited for.
    runtime.shutdown_background();
    ended
}

/// The model, or why there is none. A model or a device that is named and does not work is an error; where the built-in one does not
/// load for want of ONNX Runtime, or no inference server is there yet, videos are shown all the same.
fn model(config: &Config) -> anyhow::Result<Result<Model, pigweight_detect::Error>> {
    match Model::load(config.model_settings()) {
        Err(error @ pigweight_detect::Error::RemoteGone { .. }) => Ok(Err(error)),
        Err(error) if config.model.is_none() && is_of_runtime(&error) => Ok(Err(error)),
        loaded => Ok(Ok(loaded?)),
    }
}

fn is_of_runtime(error: &pigweight_detect::Error) -> bool {
    use pigweight_detect::Error::{RuntimeMissing, RuntimeUnusable};
    matches!(error, RuntimeMissing | RuntimeUnusable { .. })
}

/// What looks and how fast, for a person.
fn describe(inference: &Inference) -> String {
    let model = inference.model();
    let report = model.device();
    let ms = model.speed().inference.as_secs_f64() * 1000.0;
    let how = match report.device {
        Device::Cpu => {
            format!("{ms:.1} ms a frame on one core, {} (cpu)", counted(inference.sessions(), "core"))
        }
        device if report.batch > 1 => {
            format!("{ms:.1} ms a frame on the device {device}, up to {} at once", report.batch)
        }
        device => format!("{ms:.1} ms a frame on the device {device}"),
    };
    let place = report.endpoints.first().map_or_else(|| model.info().name.clone(), |_| model.place());
    let trouble = report.trouble.map_or_else(String::new, |trouble| format!("\n{trouble}"));
    format!("Detector: {place}, {how}{trouble}")
}

/// Who reads the videos, tried once: where processes cannot be started, that is told at the beginning.
async fn workers(config: &Config) -> anyhow::Result<Option<Workers>> {
    let Some(workers) = config.workers()? else {
        tracing::warn!(
            "videos are read by the server itself: one that breaks a decoder ends it (worker.enabled)"
        );
        return Ok(None);
    };
    let tried = workers.clone();
    let confinement = tokio::task::spawn_blocking(move || tried.check())
        .await?
        .context("videos are read by processes of their own; worker.enabled = false does without")?;
    tracing::info!("videos are read by processes of their own: {confinement}");
    Ok(Some(workers))
}

/// The store, as soon as whoever had it is wholly gone: a server that was killed may have been starting a process, which holds the folder until it has
/// begun.
async fn open_store(folder: &Path) -> pigweight_store::Result<Store> {
    let mut tries = tokio::time::interval(LET_GO_WITHIN / LET_GO_TRIES);
    for number in 0..LET_GO_TRIES {
        tries.tick().await;
        match Store::open(folder).await {
            Err(pigweight_store::Error::FolderInUse { .. }) if number == 0 => {
                tracing::warn!("the data folder {} is in use; waiting for it", folder.display());
            }
            Err(pigweight_store::Error::FolderInUse { .. }) => {}
            opened => return opened,
        }
    }
    Store::open(folder).await
}

async fn serve(config: Config) -> anyhow::Result<()> {
    let config = Arc::new(config);
    let store = open_store(&config.data).await?;
    let listener = tokio::net::TcpListener::bind(config.listen).await.with_context(|| {
        format!("cannot listen on {}; stop what does, or name another with --listen ADDR", config.listen)
    })?;
    let address = listener.local_addr()?;
    // A full disk keeps nobody from looking at what there is.
    if let Err(error) = store.announce(&reached_at(address).to_string()) {
        tracing::warn!("other commands will not find this server: {error}");
    }
    let workers = workers(&config).await?;
    let inference = match model(&config)? {
        Ok(model) => Ok(detector_slot::start(model, config.detect.workers)?),
        Err(error) => Err(error),
    };
    let detecting = Arc::new(Detecting::new(inference));
    let is_awaited = detecting.now().is_err_and(|missing| missing.is_awaited());
    let metrics = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".into()), &LATENCY_BUCKETS)?
        .install_recorder()?;
    let measured = metrics.clone();
    let live = Arc::new(Live::default());
    let previews = Arc::new(Previews::new(&config.data, config.preview.disk_gb));
    let uploads = Uploads::new(&config.data, config.upload.max_gb);
    uploads.recover().await?;
    let uploads_folder = uploads.folder().canonicalize()?;
    let openings = Openings::new(store.clone(), workers);
    // Holds one: more than awake nobody can be.
    let (wake, woken) = crossbeam_channel::bounded(1);
    if is_awaited {
        let (detecting, wake) = (detecting.clone(), wake.clone());
        let (settings, workers) = (config.model_settings(), config.detect.workers);
        tokio::spawn(async move { detecting.look_for(settings, workers, wake).await });
    }
    let app = Arc::new(App {
        store: store.clone(),
        live: live.clone(),
        detecting: detecting.clone(),
        config: config.clone(),
        pool: VideoPool::new(std::thread::available_parallelism().map_or(1, usize::from), openings.clone()),
        pieces: Default::default(),
        unseen: Default::default(),
        previews: previews.clone(),
        uploads,
        wake: wake.clone(),
        work: Arc::new(Work::default()),
        started: Instant::now(),
        metrics,
    });

    // The folder is this process's: whoever held jobs before is gone.
    if let Err(error) = store.take_back_jobs(true, MOST_STARTS, &ended_too_often()).await {
        live.report_trouble(&error.reason());
    }
    let (list, listed) = tokio::sync::watch::channel(Arc::from([]));
    let apart = store.apart().await?;
    let lookout = Lookout {
        store: apart.clone(),
        live: live.clone(),
        folders: config.videos.iter().chain([&uploads_folder]).cloned().collect(),
        uploads: uploads_folder,
        previews: previews.clone(),
        work: app.work.clone(),
        enlisting: Enlisting::new(detecting.clone(), config.clone()),
        list,
    };
    let preparer = Preparer {
        live: live.clone(),
        openings: openings.clone(),
        previews: previews.clone(),
        work: app.work.clone(),
    };
    let analyser = Arc::new(Analyser {
        store: apart.clone(),
        live,
        detecting: detecting.clone(),
        config: config.clone(),
        openings: openings.clone(),
        previews,
        work: app.work.clone(),
        holder: ulid::Ulid::generate().to_string().to_lowercase(),
    });
    let runtime = tokio::runtime::Handle::current();
    let register_runtime = runtime.clone();
    let (lookout, found) = tokio::task::spawn_blocking(move || {
        let found = lookout.register_present(&register_runtime);
        (lookout, found)
    })
    .await?;
    let device = match detecting.now() {
        Ok(inference) => describe(&inference),
        Err(missing) => format!("Videos are shown and not counted: {}", missing.error),
    };
    let folders = if config.videos.is_empty() {
        "No folder of videos is named; give one with --videos DIR, or add videos in the page".to_owned()
    } else {
        format!(
            "{} in {}",
            counted(found, "video"),
            config.videos.iter().map(|f| f.display().to_string()).collect::<Vec<_>>().join(", ")
        )
    };
    print(format_args!(
        "{device}\n{folders}\nResults are kept in {}\nPigWeight is at http://{address}/\n",
        config.data.display()
    ))?;

    let pool = app.clone();
    tokio::spawn(async move {
        let mut minutes = tokio::time::interval(RELEASE_AFTER);
        loop {
            minutes.tick().await;
            let app = pool.clone();
            // Ending a process may wait for its disk.
            let _released = tokio::task::spawn_blocking(move || app.pool.release(RELEASE_AFTER)).await;
        }
    });
    let (held, holder) = (store.clone(), analyser.holder.clone());
    tokio::spawn(async move {
        let mut times = tokio::time::interval(HOLD_AFTER);
        loop {
            times.tick().await;
            // Adds up what was measured: where nobody reads /metrics, each time that something took would be kept for ever.
            measured.run_upkeep();
            // Where that cannot be written, nothing else can, and is told.
            let _unwritten = held.hold_jobs(&holder).await;
            let _unwritten = held.take_back_jobs(false, MOST_STARTS, &ended_too_often()).await;
        }
    });
    let thread = |name: &str, work: Box<dyn FnOnce(&tokio::runtime::Handle) + Send>| {
        let runtime = runtime.clone();
        idle_thread::spawn(name, move || work(&runtime)).context("cannot start the background work")
    };
    let listed_too = listed.clone();
    let mut threads = vec![
        thread("lookout", Box::new(move |runtime| lookout.work(runtime, &woken)))?,
        thread("preparer", Box::new(move |runtime| preparer.work(runtime, listed_too)))?,
    ];
    for place in 0..config.jobs.at_once {
        let (analyser, listed) = (analyser.clone(), listed.clone());
        let name = format!("analyser {place}");
        threads.push(thread(&name, Box::new(move |runtime| analyser.work(runtime, listed, place)))?);
    }
    drop(listed);

    let background = app.work.clone();
    let asked = Arc::new(tokio::sync::Notify::new());
    let told = asked.clone();
    let serving = axum::serve(listener, router(app)).with_graceful_shutdown(async move {
        asked_to_stop().await;
        told.notify_one();
    });
    tokio::select! {
        ended = serving.into_future() => ended?,
        // A browser that holds a video open must not keep us.
        () = async { asked.notified().await; tokio::time::sleep(LAST_ANSWERS).await } => {}
    }
    background.end();
    openings.close();
    // A full queue means that it has been woken already.
    let _already_woken = wake.try_send(());
    let join = move || threads.into_iter().map(std::thread::JoinHandle::join).collect::<Vec<_>>();
    let ended = tokio::task::spawn_blocking(join).await?;
    anyhow::ensure!(ended.iter().all(Result::is_ok), "the background work broke down; the log says where");
    apart.close().await;
    store.close().await;
    Ok(())
}

/// Where this machine itself reaches a server: one that listens on every address is reached on its own.
fn reached_at(mut address: SocketAddr) -> SocketAddr {
    if address.ip().is_unspecified() {
        address.set_ip(match address {
            SocketAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
            SocketAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
        });
    }
    address
}

/// Ctrl-C, or what systemd sends.
async fn asked_to_stop() {
    let interrupt = tokio::signal::ctrl_c();
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        match signal(SignalKind::terminate()) {
            Ok(mut terminate) => tokio::select! { _ = interrupt => {}, _ = terminate.recv() => {} },
            // Without it Ctrl-C still works.
            Err(_) => drop(interrupt.await),
        }
    }
    #[cfg(not(unix))]
    drop(interrupt.await);
}
