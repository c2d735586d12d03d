//! The JSON API, a file per noun.

pub mod adaptation;
pub mod calibration;
mod camera_answers;
mod camera_requests;
pub mod cameras;
pub mod changes_socket;
pub mod count_socket;
pub mod counts;
pub mod discoveries;
pub mod found_cameras;
pub mod health;
pub mod jobs;
pub mod line_versions;
pub mod lines;
pub mod mjpeg;
pub mod receivers;
pub mod recordings;
pub mod runs;
pub mod sources;
pub mod tables;
pub mod types;
pub mod uploads;
pub mod video_socket;
pub mod videos;
pub mod webrtc;
