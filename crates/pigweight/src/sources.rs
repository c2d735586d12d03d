//! Where videos come from: folders and uploads, registered in the store and opened on demand.

pub mod clips;
pub mod file_access;
pub mod file_identity;
pub mod library;
pub mod open_videos;
mod upload_names;
mod upload_places;
pub mod uploads;
