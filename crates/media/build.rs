//! Passes on which FFmpeg the bindings were made for: stream side data moved in 6.1.

fn main() {
    println!("cargo::rustc-check-cfg=cfg(side_data_in_codec_parameters)");
    println!("cargo::rerun-if-changed=build.rs");
    // Set by ffmpeg-sys-next's build script (`links = "ffmpeg"`).
    if std::env::var("DEP_FFMPEG_FFMPEG_6_1").is_ok_and(|value| value == "true") {
        println!("cargo::rustc-cfg=side_data_in_codec_parameters");
    }
}
