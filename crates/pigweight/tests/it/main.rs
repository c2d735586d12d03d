//! The product as its users meet it: the built binary, real servers, real videos.

mod api;
mod bad_models;
mod bad_videos;
mod golden;
mod house;
mod server;
