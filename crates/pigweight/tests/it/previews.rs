//! Previews: made in the background, exact, continued after a kill, and never in the way.

use crate::api::{folder_of, indexed};
use crate::server::{Answer, Server, model};
use pigweight_media::{Video, still};
use pigweight_testkit::videos::bar_code;
use std::io::Write as _;
use std::path::Path;

/// Waits until the small pictures of all frames and the thumbnails are made; the video's identifier.
fn made(server: &Server, name: &str) -> String {
    loop {
        let found = indexed(server, name);
        if found["preview"]["frames"] == found["frames"] && found["preview"]["sprites"] == true {
            return found["id"].as_str().unwrap().to_owned();
        }
        crate::server::pause();
    }
}

fn shown(answer: &Answer, scratch: &Path) -> Option<u32> {
    assert_eq!((answer.status, answer.header("content-type")), (200, "image/jpeg"));
    let file = scratch.join("shown.jpg");
    std::fs::write(&file, &answer.bytes).unwrap();
    bar_code(&still::open(&file).unwrap().view())
}

/// Asks for every 7th frame, from the end to the beginning.
fn frames_are_exact(server: &Server, folder: &Path, name: &str, id: &str, source: &str) {
    let video = Video::open(&folder.join(name)).unwrap();
    for pts in video.index().frame_pts().collect::<Vec<_>>().into_iter().rev().step_by(7) {
        let answer = server.get(&format!("/api/videos/{id}/preview/frame?pts={}", pts.0));
        let whole = server
            .get(&format!("/api/video_file/frame_optimized?id={id}&t={}&quality=95", video.secs(pts) + 1e-4));
        assert_eq!(answer.header("x-frame-pts"), pts.0.to_string());
        assert_eq!(answer.header("x-frame-pts"), whole.header("x-frame-pts"));
        assert_eq!(answer.header("x-frame-source"), source, "{name} {pts:?}");
        assert!(answer.header("cache-control").contains("immutable"));
        let number = shown(&answer, folder);
        assert!(number.is_some());
        assert_eq!(number, shown(&whole, folder), "{name} {pts:?}");
    }
}

#[test]
fn every_frame_is_there_small_and_the_right_one() {
    let names = ["gop25.mp4", "vfr.mp4", "start10.ts", "opengop.mp4", "mpeg4.avi"];
    let (videos, data) = (folder_of(&names), tempfile::tempdir().unwrap());
    let server = Server::start(videos.path(), data.path(), None);
    for name in names {
        let id = made(&server, name);
        frames_are_exact(&server, videos.path(), name, &id, "kept");
        let map = server.get(&format!("/api/videos/{id}/preview/sprites.vtt"));
        assert_eq!((map.status, map.header("content-type")), (200, "text/vtt"));
        assert!(String::from_utf8(map.bytes).unwrap().contains("0.jpg#xywh=0,0,160,90"));
        let sheet = server.get(&format!("/api/videos/{id}/preview/0.jpg"));
        assert_eq!((sheet.status, sheet.header("content-type")), (200, "image/jpeg"));
        for nothing in ["1.jpg", "00.jpg", "x.jpg", "frames.jpegs", "..%2f..%2fpigweight.sqlite", "-1.jpg"] {
            server.get(&format!("/api/videos/{id}/preview/{nothing}")).problem(404);
        }
        assert!(
            server.get(&format!("/api/videos/{id}/preview/frame?pts=-77")).problem(404).contains("index")
        );
        server.get(&format!("/api/videos/{id}/preview/frame?pts=x")).problem(400);
        server.get(&format!("/api/videos/{id}/preview/frame")).problem(400);
    }
    server.get("/api/videos/nobody/preview/frame?pts=0").problem(404);
    server.get("/api/videos/nobody/preview/sprites.vtt").problem(404);
}

#[test]
fn without_room_on_the_disk_frames_are_decoded() {
    let (videos, data) = (folder_of(&["gop25.mp4"]), tempfile::tempdir().unwrap());
    let settings = [("PIGWEIGHT_PREVIEW__DISK_GB", "0")];
    let server = Server::start_with(videos.path(), data.path(), None, &settings);
    let id = indexed(&server, "gop25.mp4")["id"].as_str().unwrap().to_owned();
    frames_are_exact(&server, videos.path(), "gop25.mp4", &id, "decoded");
    server.get(&format!("/api/videos/{id}/preview/sprites.vtt")).problem(404);
    assert!(!data.path().join("previews").exists());
}

#[test]
fn one_pass_counts_and_makes_them_and_a_kill_loses_none() {
    let (videos, data) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    crate::kept::demo(&["--marked", "--secs", "20"], videos.path());
    let begun = |server: &Server| {
        let found = indexed(server, "corridor.mp4");
        (found["preview"]["frames"].as_u64().unwrap(), found["frames"].as_u64().unwrap())
    };
    let mut before = 0;
    for _ in 0..3 {
        let server = Server::start(videos.path(), data.path(), Some(&model()));
        // What the last one had brought to the disk is there, and more comes.
        assert!(begun(&server).0 >= before, "kept frames were lost");
        while begun(&server).0 <= before && begun(&server).0 < begun(&server).1 {
            crate::server::pause();
        }
        before = begun(&server).0;
        server.kill();
    }
    let server = Server::start(videos.path(), data.path(), Some(&model()));
    let id = made(&server, "corridor.mp4");
    server.wait_for_run(&id, "done");
    let (video, mut seeker) = {
        let video = Video::open(&videos.path().join("corridor.mp4")).unwrap();
        let seeker = pigweight_media::FrameSeeker::open(&video).unwrap();
        (video, seeker)
    };
    for pts in video.index().frame_pts().step_by(23) {
        let answer = server.get(&format!("/api/videos/{id}/preview/frame?pts={}", pts.0));
        assert_eq!(answer.header("x-frame-source"), "kept");
        let file = data.path().join("small.jpg");
        std::fs::write(&file, &answer.bytes).unwrap();
        let small = still::open(&file).unwrap();
        let whole = seeker.frame(pts).unwrap().picture.scaled_to_width(small.width());
        let off = difference(&small.view(), &whole.view());
        assert!(off < 6.0, "{pts:?} is another picture: {off} in the mean");
    }
}

/// The mean difference of luma in a full-range and a limited-range picture.
fn difference(
    small: &pigweight_core::picture::PictureView<'_>,
    whole: &pigweight_core::picture::PictureView<'_>,
) -> f64 {
    use pigweight_core::picture::Planes;
    let (Planes::Yuv { y: full, .. }, Planes::Yuv { y: limited, .. }) = (small.planes, whole.planes) else {
        panic!("planar YUV")
    };
    let (width, height) = (small.width as usize, small.height as usize);
    assert_eq!((small.width, small.height), (whole.width, whole.height));
    let mut off = 0.0;
    for row in 0..height {
        for column in 0..width {
            let limited = f64::from(limited.samples[row * limited.stride + column]);
            let full = f64::from(full.samples[row * full.stride + column]);
            off += (full - (limited - 16.0) * 255.0 / 219.0).abs();
        }
    }
    off / (width * height) as f64
}

#[test]
fn a_browser_that_went_on_stops_the_decoding() {
    let (videos, data) = (folder_of(&["gop150.mp4"]), tempfile::tempdir().unwrap());
    let settings = [("PIGWEIGHT_PREVIEW__DISK_GB", "0")];
    let server = Server::start_with(videos.path(), data.path(), None, &settings);
    let id = indexed(&server, "gop150.mp4")["id"].as_str().unwrap().to_owned();
    let given_up = || {
        let metrics = String::from_utf8(server.get("/metrics").bytes).unwrap();
        let line = metrics.lines().find(|line| line.starts_with("pigweight_frames_cancelled_total"));
        line.is_some_and(|line| !line.ends_with(" 0"))
    };
    // Each leaves before its answer can be there; how soon the server notices is not ours to say.
    for number in 0.. {
        let mut stream = std::net::TcpStream::connect(&server.address).unwrap();
        // Each is another picture: none comes from memory.
        let (t, width) = (f64::from(100 + number % 50) / 25.0, 10 + number % 370);
        let path = format!("/api/video_file/frame_optimized?id={id}&t={t}&width={width}");
        write!(stream, "GET {path} HTTP/1.1\r\nhost: localhost\r\n\r\n").unwrap();
        drop(stream);
        if given_up() {
            break;
        }
    }
    // And who stays is served.
    let answer = server.get(&format!("/api/video_file/frame_optimized?id={id}&t=5.96&quality=95"));
    assert_eq!(shown(&answer, data.path()), Some(149));
}

#[test]
fn fifty_requests_at_once_get_each_its_own_frame() {
    let (videos, data) = (folder_of(&["gop150.mp4"]), tempfile::tempdir().unwrap());
    let settings = [("PIGWEIGHT_PREVIEW__DISK_GB", "0")];
    let server = Server::start_with(videos.path(), data.path(), None, &settings);
    let id = indexed(&server, "gop150.mp4")["id"].as_str().unwrap().to_owned();
    let ask = |number: u32| {
        let t = (f64::from(number) + 0.5) / 25.0;
        server.get(&format!("/api/video_file/frame_optimized?id={id}&t={t}&quality=95&inference=false"))
    };
    let answers: Vec<_> = std::thread::scope(|scope| {
        // A finger that goes to and fro.
        let asked =
            (0..50).map(|step| step * 37 % 150).map(|number| (number, scope.spawn(move || ask(number))));
        let asked: Vec<_> = asked.collect();
        asked.into_iter().map(|(number, answer)| (number, answer.join().unwrap())).collect()
    });
    for (number, answer) in answers {
        assert_eq!((answer.status, shown(&answer, data.path())), (200, Some(number)));
    }
}

#[test]
fn the_nearest_keyframe_says_which_it_is() {
    let (videos, data) = (folder_of(&["gop25.mp4"]), tempfile::tempdir().unwrap());
    let server = Server::start(videos.path(), data.path(), None);
    let id = indexed(&server, "gop25.mp4")["id"].as_str().unwrap().to_owned();
    for (t, number, mode) in
        [("0.3", 0, "nearest"), ("0.7", 25, "nearest"), ("1", 25, "exact"), ("5.9", 125, "nearest")]
    {
        let answer = server.get(&format!(
            "/api/video_file/frame_optimized?id={id}&t={t}&mode=nearest&quality=95&inference=false"
        ));
        assert_eq!((shown(&answer, data.path()), answer.header("x-frame-mode")), (Some(number), mode), "{t}");
        let secs: f64 = answer.header("x-frame-time").parse().unwrap();
        assert!((secs - f64::from(number) / 25.0).abs() < 1e-6);
    }
    server.get(&format!("/api/video_file/frame_optimized?id={id}&t=1&mode=roughly")).problem(400);
    server.get(&format!("/api/video_file/frame_optimized?id={id}&t=7&mode=nearest")).problem(416);
}

#[test]
fn a_frame_asked_for_again_comes_from_memory() {
    let (videos, data) = (folder_of(&["gop25.mp4"]), tempfile::tempdir().unwrap());
    let server = Server::start(videos.path(), data.path(), None);
    let id = indexed(&server, "gop25.mp4")["id"].as_str().unwrap().to_owned();
    let path = format!("/api/video_file/frame_optimized?id={id}&t=3.3");
    let (first, again) = (server.get(&path), server.get(&path));
    assert_eq!(first.bytes, again.bytes);
    for name in ["etag", "x-frame-pts", "x-frame-time", "x-has-inference", "content-type"] {
        assert_eq!(first.header(name), again.header(name));
    }
    let metrics = String::from_utf8(server.get("/metrics").bytes).unwrap();
    assert!(metrics.contains("pigweight_jpeg_cache_total{found=\"true\"} 1"), "{metrics}");
}
