//! A detector that was adapted to a camera doesn't count recordings from after the camera was moved.

use crate::jobs::{NO_PICTURES, videos, wait};
use crate::server::{Server, pigweight, root};
use pigweight_core::motion::SmallLuma;
use pigweight_core::viewpoint::ViewpointBuilder;
use pigweight_media::{FrameSeeker, Video};
use pigweight_train::Network;
use serde_json::Value;
use std::path::Path;
use std::process::Command;

/// The built-in detector, as if it had been adapted to this video.
fn adapted_to(video: &Path) -> Vec<u8> {
    let opened = Video::open(video).unwrap();
    let (mut seeker, mut builder) = (FrameSeeker::open(&opened).unwrap(), ViewpointBuilder::default());
    for place in (0..opened.index().frame_count()).step_by(9) {
        let shown = seeker.frame(opened.index().pts_at(place).unwrap()).unwrap();
        builder.add(SmallLuma::of(&shown.picture.view()));
    }
    let file = std::fs::read(root().join("models/pigs-640x384.onnx")).unwrap();
    let mut network = Network::read(&file).unwrap();
    network.move_scores(0.25, 0.3);
    let view = builder.finish().unwrap().to_text();
    network.write(&file, &[("pigweight.viewpoint", view)]).unwrap()
}

/// What a camera that was turned, or moved nearer, sees.
fn filmed_again(video: &Path, filter: &str, to: &Path) {
    let mut ffmpeg = Command::new("ffmpeg");
    ffmpeg.args(["-v", "error", "-i"]).arg(video).args(["-vf", filter]).arg(to);
    assert!(ffmpeg.status().expect("ffmpeg is installed").success());
}

#[test]
fn recordings_of_a_moved_camera_are_counted_by_the_built_in_detector_with_a_warning() {
    let (folder, data) = (videos(&[("before.mp4", 1)]), tempfile::tempdir().unwrap());
    let before = folder.path().join("before.mp4");
    for (name, filter) in [
        ("brighter.mp4", "eq=brightness=0.1:contrast=0.7"),
        ("turned.mp4", "crop=iw*0.84:ih:iw*0.16:0,pad=iw/0.84:ih:0:0:gray"),
        ("nearer.mp4", "crop=iw*0.6:ih*0.6,scale=iw/0.6:ih/0.6"),
    ] {
        filmed_again(&before, filter, &folder.path().join(name));
    }
    std::fs::write(folder.path().join("pigweight-detector.onnx"), adapted_to(&before)).unwrap();
    let server = Server::start_asking(folder.path(), data.path(), None, &[NO_PICTURES]);
    let run = |name: &str| server.video(name)["run"].clone();
    let warned = |run: &Value| {
        let warnings = run["warnings"].as_array().unwrap();
        warnings.iter().any(|warning| warning["code"] == "other_view")
    };
    for (name, is_other) in
        [("before.mp4", false), ("brighter.mp4", false), ("turned.mp4", true), ("nearer.mp4", true)]
    {
        let run = wait(|| Some(run(name)).filter(|run| run["state"] == "done"));
        let is_built_in = run["model"] == "pigs-640x384.onnx";
        assert_eq!((is_built_in, warned(&run)), (is_other, is_other), "{name}: {run}");
    }
    // Without the adapted detector there is nothing to warn of.
    std::fs::remove_file(folder.path().join("pigweight-detector.onnx")).unwrap();
    assert!(!warned(&run("turned.mp4")));
    server.stop();

    std::fs::write(folder.path().join("pigweight-detector.onnx"), adapted_to(&before)).unwrap();
    let count = |name: &str| {
        let output = pigweight().arg("count").arg(folder.path().join(name)).current_dir(root()).output();
        String::from_utf8(output.unwrap().stdout).unwrap()
    };
    assert!(count("turned.mp4").contains("shows another view"));
    assert!(!count("before.mp4").contains("shows another view"));
}
