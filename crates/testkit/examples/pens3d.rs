//! Writes rendered pens as a source of `training/`: `images/*.ppm` and `labels/*.txt` (YOLO; class 1: too hidden to ask for).
//!
//! ```text
//! cargo run --release -p pigweight-testkit --example pens3d -- DIR COUNT SEED [KIND] [THREADS]
//! ```
//!
//! KIND is `any` (the usual mix), `crowd`, `pen`, `near`, `litter`, `corridor` or `empty`. What is there already is not rendered again: a
//! run that was cut off goes on. Runs with different seeds may share a folder. Labels are written last, so a picture with labels is whole. An environment variable SIZE=WxH gives another size.

use pigweight_testkit::pen3d::{Kind, Pen, Photograph};
use std::error::Error;
use std::fmt::Write as _;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

struct Job<'a> {
    folder: &'a Path,
    seed: u64,
    kind: Option<Kind>,
    size: (u32, u32),
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [folder, count, seed, rest @ ..] = &arguments[..] else {
        return Err("usage: pens3d DIR COUNT SEED [KIND] [THREADS]".into());
    };
    let kind = match rest.first().map(String::as_str) {
        None | Some("any") => None,
        Some("crowd") => Some(Kind::Crowd),
        Some("pen") => Some(Kind::Pen),
        Some("near") => Some(Kind::Near),
        Some("litter") => Some(Kind::Litter),
        Some("corridor") => Some(Kind::Corridor),
        Some("empty") => Some(Kind::Empty),
        Some(other) => return Err(format!("{other} is no kind of scene").into()),
    };
    let size = std::env::var("SIZE").unwrap_or_else(|_| "640x360".to_owned());
    let (width, height) = size.split_once('x').ok_or("SIZE is WxH")?;
    let job =
        Job { folder: Path::new(folder), seed: seed.parse()?, kind, size: (width.parse()?, height.parse()?) };
    let threads = match rest.get(1) {
        Some(text) => text.parse()?,
        None => std::thread::available_parallelism()?.get(),
    };
    for part in ["images", "labels"] {
        std::fs::create_dir_all(job.folder.join(part))?;
    }
    std::fs::write(job.folder.join("classes.txt"), "pig\nhidden\n")?;
    let (count, next) = (count.parse()?, AtomicU64::new(0));
    let work = || -> std::io::Result<()> {
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            if number >= count {
                return Ok(());
            }
            job.render(number)?;
        }
    };
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        workers.into_iter().try_for_each(|worker| {
            worker.join().map_err(|_| std::io::Error::other("a thread that renders panicked"))?
        })
    })?;
    Ok(())
}

impl Job<'_> {
    fn render(&self, number: u64) -> std::io::Result<()> {
        let labels = self.folder.join(format!("labels/pen_{}_{number:05}.txt", self.seed));
        if labels.exists() {
            return Ok(());
        }
        let seed = self.seed.wrapping_mul(1_000_003).wrapping_add(number);
        let (width, height) = self.size;
        let pen = match self.kind {
            Some(kind) => Pen::new(seed, kind, width, height),
            None => Pen::varied(seed, width, height),
        };
        let photograph = pen.photograph();
        let mut picture = format!("P6\n{width} {height}\n255\n").into_bytes();
        picture.extend(&photograph.pixels);
        std::fs::write(self.folder.join(format!("images/pen_{}_{number:05}.ppm", self.seed)), picture)?;
        let partial = labels.with_extension("partial");
        std::fs::write(&partial, rows(&photograph))?;
        std::fs::rename(partial, labels)
    }
}

fn rows(photograph: &Photograph) -> String {
    let (width, height) = (photograph.width as f32, photograph.height as f32);
    photograph.truths.iter().fold(String::new(), |mut text, truth| {
        let (rect, center) = (truth.rect, truth.rect.center());
        let class = u8::from(truth.is_hidden());
        let (x, y, wide, high) =
            (center.x / width, center.y / height, rect.width / width, rect.height / height);
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{class} {x:.6} {y:.6} {wide:.6} {high:.6} {:.3}", truth.visible_share);
        text
    })
}
