//! A user and a password, from a file or typed on the terminal without being shown.

use anyhow::Context as _;
use pigweight_live::address::Credentials;
use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};
use std::io::{BufRead as _, IsTerminal as _, Read as _, Write as _};
use std::path::Path;

/// Longest line that is read.
const MOST_BYTES: u64 = 4096;

/// Whether somebody can be asked.
pub fn can_ask() -> bool {
    std::io::stdin().is_terminal() && std::io::stderr().is_terminal()
}

/// The first line of a file.
pub fn read_file(path: &Path) -> anyhow::Result<String> {
    let file = std::fs::File::open(path)
        .with_context(|| format!("cannot read the password from {}", path.display()))?;
    let mut line = String::new();
    let read = std::io::BufReader::new(file).take(MOST_BYTES).read_line(&mut line);
    read.with_context(|| format!("{} is no text", path.display()))?;
    let password = line.trim_end_matches(['\r', '\n']);
    anyhow::ensure!(
        !password.is_empty(),
        "the first line of {} is empty; write the password there",
        path.display()
    );
    Ok(password.to_owned())
}

/// Asks for a user and a password; `None`: nothing was entered.
pub fn ask() -> anyhow::Result<Option<Credentials>> {
    let user = ask_line("User of the cameras (empty: none): ")?;
    if user.is_empty() {
        return Ok(None);
    }
    let password = ask_password()?;
    Ok(Some(Credentials { user, password }))
}

/// Asks for a password, which isn't shown.
pub fn ask_password() -> anyhow::Result<String> {
    let stdin = std::io::stdin();
    let before = tcgetattr(&stdin)?;
    let mut hidden = before.clone();
    hidden.local_modes.remove(LocalModes::ECHO);
    hidden.local_modes.insert(LocalModes::ECHONL);
    tcsetattr(&stdin, OptionalActions::Flush, &hidden)?;
    let password = ask_line("Password: ");
    tcsetattr(&stdin, OptionalActions::Flush, &before)?;
    password
}

fn ask_line(question: &str) -> anyhow::Result<String> {
    let mut stderr = std::io::stderr();
    write!(stderr, "{question}")?;
    stderr.flush()?;
    let mut line = String::new();
    std::io::stdin().lock().take(MOST_BYTES).read_line(&mut line)?;
    Ok(line.trim_end_matches(['\r', '\n']).to_owned())
}
