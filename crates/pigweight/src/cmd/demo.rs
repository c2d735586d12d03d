//! `pigweight demo`: a drawn video with its truth.

use crate::args::Demo;

pub fn run(_args: &Demo) -> anyhow::Result<()> {
    anyhow::bail!("not built yet")
}
