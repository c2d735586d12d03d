//! The product as its users meet it: the built binary, real servers, real videos.

mod api;
mod house;
mod server;
