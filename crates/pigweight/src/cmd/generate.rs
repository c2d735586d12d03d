//! Texts that packages ship: completions, the manual page, the API document.

use super::print;
use crate::args::Args;
use crate::web;
use clap::CommandFactory as _;

pub fn completions(shell: clap_complete::Shell) -> anyhow::Result<()> {
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut Args::command(), "pigweight", &mut text);
    print(String::from_utf8_lossy(&text))
}

pub fn man() -> anyhow::Result<()> {
    let mut text = Vec::new();
    let command = Args::command();
    clap_mangen::Man::new(command.clone()).render(&mut text)?;
    for subcommand in command.get_subcommands().filter(|subcommand| !subcommand.is_hide_set()) {
        let title = format!("pigweight-{}", subcommand.get_name());
        clap_mangen::Man::new(subcommand.clone().display_name(title)).render(&mut text)?;
    }
    print(String::from_utf8_lossy(&text))
}

pub fn openapi() -> anyhow::Result<()> {
    print(web::openapi_json())
}
