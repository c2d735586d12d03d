//! End-to-end tests: the built binary, real servers, real videos, rendered scenes with known truth.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod adapt;
mod api;
mod asking;
mod bad_models;
mod bad_videos;
mod camera_kinds;
mod cameras;
mod counting;
mod demo;
mod devices;
mod drawn;
mod golden;
mod growing;
mod house;
mod inference_server;
mod input_width;
mod install;
mod jobs;
mod known_number;
mod moved_camera;
mod own_videos;
mod pausing;
mod previews;
mod put_back;
mod recordings;
mod remote;
mod scheduling;
mod server;
mod small_disk;
mod sources;
mod streaming;
mod uploads;
mod webrtc;
mod workers;
mod wrong_words;
