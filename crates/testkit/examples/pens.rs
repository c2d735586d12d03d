//! Writes drawn scenes as a source of `training/`: `images/*.ppm` and `labels/*.txt` (YOLO).
//!
//! ```text
//! cargo run --release -p pigweight-testkit --example pens -- DIR COUNT SEED [MOST_PIGS]
//! ```
//!
//! With `MOST_PIGS` 0 there is no pig on any of them: whatever a detector finds there is wrong.

use pigweight_testkit::scene::{Scene, SceneSettings};
use std::fmt::Write as _;
use std::path::Path;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (folder, numbers) = match &arguments[..] {
        [folder, numbers @ ..] if (2..=3).contains(&numbers.len()) => (Path::new(folder), numbers),
        _ => return Err("usage: pens DIR COUNT SEED [MOST_PIGS]".into()),
    };
    let count: u64 = numbers[0].parse()?;
    let seed: u64 = numbers[1].parse()?;
    let most_pigs: usize = numbers.get(2).map_or(Ok(40), |text| text.parse())?;
    for part in ["images", "labels"] {
        std::fs::create_dir_all(folder.join(part))?;
    }
    for number in 0..count {
        let scene = Scene::varied(seed.wrapping_mul(1_000_003).wrapping_add(number), most_pigs);
        let SceneSettings { width, height, .. } = *scene.settings();
        let mut picture = format!("P6\n{width} {height}\n255\n").into_bytes();
        picture.extend(scene.draw());
        std::fs::write(folder.join(format!("images/drawn_{number:05}.ppm")), picture)?;
        let (width, height) = (width as f32, height as f32);
        let mut rows = String::new();
        for truth in scene.boxes() {
            let (middle, rect) = (truth.rect.center(), truth.rect);
            let (x, y) = (middle.x / width, middle.y / height);
            writeln!(rows, "0 {x:.6} {y:.6} {:.6} {:.6}", rect.width / width, rect.height / height)?;
        }
        std::fs::write(folder.join(format!("labels/drawn_{number:05}.txt")), rows)?;
    }
    Ok(())
}
