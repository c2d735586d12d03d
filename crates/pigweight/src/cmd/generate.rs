//! Generates texts for packages: completions, the manual page, the API document.

use super::print;
use crate::args::Args;
use crate::web;
use anyhow::Context as _;
use clap::CommandFactory as _;
use std::path::Path;

pub fn completions(shell: clap_complete::Shell) -> anyhow::Result<()> {
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut Args::command(), "pigweight", &mut text);
    print(String::from_utf8_lossy(&text))
}

/// One page with all commands on stdout, or a page per command in a folder.
pub fn man(folder: Option<&Path>) -> anyhow::Result<()> {
    let mut command = Args::command();
    // Names of nested commands, as typed.
    command.build();
    if let Some(folder) = folder {
        return clap_mangen::generate_to(command, folder)
            .with_context(|| format!("cannot write manual pages into {}", folder.display()));
    }
    let mut text = Vec::new();
    clap_mangen::Man::new(command.clone()).render(&mut text)?;
    render_subcommands(&command, "pigweight", &mut text)?;
    print(String::from_utf8_lossy(&text))
}

/// The pages of all commands below one, recursively.
fn render_subcommands(command: &clap::Command, name: &str, text: &mut Vec<u8>) -> anyhow::Result<()> {
    let shown = |subcommand: &&clap::Command| !subcommand.is_hide_set() && subcommand.get_name() != "help";
    for subcommand in command.get_subcommands().filter(shown) {
        let name = format!("{name}-{}", subcommand.get_name());
        clap_mangen::Man::new(subcommand.clone().display_name(&name)).render(text)?;
        render_subcommands(subcommand, &name, text)?;
    }
    Ok(())
}

pub fn openapi() -> anyhow::Result<()> {
    print(web::openapi_json())
}
