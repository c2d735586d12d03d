//! What the tests stand on: videos whose every frame bears its number, and pens with their truth, drawn from above or rendered in three
//! dimensions.

pub mod component;
pub mod mjpeg_server;
pub mod network;
pub mod onnx_file;
pub mod onvif_device;
pub mod pen3d;
pub mod random;
pub mod rtsp_server;
pub mod scene;
mod script_server;
pub mod videos;
