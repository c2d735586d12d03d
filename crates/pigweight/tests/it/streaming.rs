//! HTTP Live Streaming as players use it: ffmpeg's own client, over HTTP, against a real server.

use crate::api::{folder_of, indexed};
use crate::server::Server;
use std::collections::BTreeSet;
use std::process::Command;

const VIDEOS: [&str; 5] = ["gop25.mp4", "copy.mkv", "start10.ts", "vfr.mp4", "mpeg4.avi"];

fn serve() -> (tempfile::TempDir, tempfile::TempDir, Server) {
    let (folder, data) = (folder_of(&VIDEOS), tempfile::tempdir().unwrap());
    let server = Server::start(folder.path(), data.path(), None);
    (folder, data, server)
}

fn playlist_of(server: &Server, name: &str) -> String {
    format!("/api/video_file/stream_hls/{}", indexed(server, name)["id"].as_str().unwrap())
}

/// A tool of ffmpeg's at a server's address. It has nothing to complain of.
fn printed_by(tool: &str, before: &[&str], url: &str, after: &[&str]) -> String {
    // The playlist's address has no ending by which ffmpeg would know it.
    let mut command = Command::new(tool);
    command
        .args(["-v", "error"])
        .args(before)
        .args(["-allowed_extensions", "ALL", "-f", "hls", "-i", url])
        .args(after);
    let output = command.output().expect("ffmpeg is installed");
    let complaints = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && complaints.is_empty(), "{tool} {url}: {complaints}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn a_player_gets_every_packet_once_and_can_decode_all() {
    let (_folder, _data, server) = serve();
    for (name, has_sound) in
        [("gop25.mp4", true), ("copy.mkv", true), ("start10.ts", true), ("vfr.mp4", false)]
    {
        let url = server.url(&playlist_of(&server, name));
        let frames = indexed(&server, name)["frames"].as_u64().unwrap() as usize;
        let packets = |stream: &str| -> Vec<String> {
            let show = ["-select_streams", stream, "-show_entries", "packet=pts_time", "-of", "csv=p=0"];
            printed_by("ffprobe", &show, &url, &[]).split_whitespace().map(str::to_owned).collect()
        };
        let video = packets("v");
        assert_eq!(video.len(), frames, "{name}");
        assert_eq!(video.iter().collect::<BTreeSet<_>>().len(), frames, "{name}: a packet came twice");
        let sound = packets("a");
        assert_eq!(!sound.is_empty(), has_sound, "{name}");
        assert_eq!(sound.iter().collect::<BTreeSet<_>>().len(), sound.len(), "{name}: sound came twice");
        printed_by("ffmpeg", &[], &url, &["-f", "null", "-"]);
    }
}

#[test]
fn the_playlist_names_its_segments_and_no_other_path_exists() {
    let (_folder, _data, server) = serve();
    let playlist = playlist_of(&server, "gop25.mp4");
    let answer = server.get(&playlist);
    assert_eq!((answer.status, answer.header("content-type")), (200, "application/vnd.apple.mpegurl"));
    let text = String::from_utf8(answer.bytes).unwrap();
    let named: Vec<&str> = text.lines().filter(|line| line.ends_with(".m4s")).collect();
    assert_eq!(named.len(), 2, "{text}");
    for name in ["init.mp4", "0.m4s", "1.m4s"] {
        let piece = server.get(&format!("{playlist}/{name}"));
        assert_eq!((piece.status, piece.header("content-type")), (200, "video/mp4"), "{name}");
        assert!(piece.header("cache-control").contains("max-age"));
        let kind = if name == "init.mp4" { b"ftyp" } else { b"moof" };
        assert_eq!(&piece.bytes[4..8], kind, "{name}");
    }
    for name in
        ["2.m4s", "-1.m4s", "99999999999999999999999.m4s", "0", "x.mp4", "..%2f..%2fetc%2fpasswd", "0.m4s/0"]
    {
        server.get(&format!("{playlist}/{name}")).problem(404);
    }
    server.get("/api/video_file/stream_hls/nobody").problem(404);
    // Coded so that no browser plays it.
    let message = server.get(&playlist_of(&server, "mpeg4.avi")).problem(422);
    assert!(message.contains("coded as mpeg4"), "{message}");
}
