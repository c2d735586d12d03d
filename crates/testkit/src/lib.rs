//! What the tests stand on: videos whose every frame bears its number, and drawn pens with their truth.

pub mod component;
pub mod random;
pub mod scene;
pub mod videos;
