//! Names of uploaded files: what a client calls its file, made into a name that every file system accepts and that is not taken.

use crate::sources::library;
use std::path::Path;

/// Bytes of a file's name, so that every file system accepts it with a number added.
const MOST_NAME_BYTES: usize = 200;
/// Numbers tried if a name is taken.
const MOST_NAMESAKES: usize = 10_000;

/// The last component of any name, without characters that file systems or readers trip over; `None` if nothing is left or it
/// isn't a video.
pub(super) fn clean_name(name: &str) -> Option<String> {
    let last = name.rsplit(['/', '\\']).next().unwrap_or_default();
    let plain: String = last
        .chars()
        .map(|character| {
            if character.is_control() || is_invisible(character) || "<>:\"|?*".contains(character) {
                '_'
            } else {
                character
            }
        })
        .collect();
    let plain =
        plain.trim_start_matches(|character: char| character == '.' || character.is_whitespace()).trim_end();
    if !library::has_video_extension(Path::new(plain)) {
        return None;
    }
    let (stem, extension) = plain.rsplit_once('.')?;
    let mut end = stem.len().min(MOST_NAME_BYTES);
    while !stem.is_char_boundary(end) {
        end -= 1;
    }
    let stem = stem[..end].trim();
    (!stem.is_empty()).then(|| format!("{stem}.{extension}"))
}

/// Characters that are not seen and change how a name reads: marks of direction, joiners, separators of lines.
fn is_invisible(character: char) -> bool {
    matches!(character, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

/// The name, then the name with numbers.
pub(super) fn numbered_names(name: &str) -> impl Iterator<Item = String> + use<> {
    let (stem, extension) = name.rsplit_once('.').unwrap_or((name, ""));
    let (stem, extension) = (stem.to_owned(), extension.to_owned());
    let numbered = (2..MOST_NAMESAKES).map(move |number| format!("{stem} ({number}).{extension}"));
    std::iter::once(name.to_owned()).chain(numbered)
}

/// A name that can't be checked isn't free; if the file system rejects a name, moving reports it.
pub(super) fn is_free(path: &Path) -> bool {
    use std::io::ErrorKind::{InvalidFilename, NotFound};
    path.symlink_metadata().is_err_and(|error| matches!(error.kind(), NotFound | InvalidFilename))
}

/// Moves a file to an unused name, and never replaces a file created meanwhile.
pub(super) fn move_to_free(from: &Path, to: &Path) -> std::io::Result<()> {
    #[cfg(target_os = "linux")]
    {
        use rustix::fs::{CWD, RenameFlags, renameat_with};
        match renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
            // A file system that doesn't support this.
            Err(rustix::io::Errno::INVAL | rustix::io::Errno::NOSYS) => {}
            moved => return Ok(moved?),
        }
    }
    std::fs::rename(from, to)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_names_lose_path_separators_and_unwritable_characters() {
        for (name, expected) in [
            ("pen.mp4", Some("pen.mp4")),
            ("Загон №1, утро.MP4", Some("Загон №1, утро.MP4")),
            ("../../etc/pen.mp4", Some("pen.mp4")),
            (r"C:\videos\pen.mp4", Some("pen.mp4")),
            (".hidden.mp4", Some("hidden.mp4")),
            (". .hidden.mp4", Some("hidden.mp4")),
            (" a\u{0}b\nc?.mkv ", Some("a_b_c_.mkv")),
            ("\u{202e}4pm.nep.mp4", Some("_4pm.nep.mp4")),
            ("pen\u{2028}1\u{200b}.mp4", Some("pen_1_.mp4")),
            ("..", None),
            (".mp4", None),
            ("", None),
            ("notes.txt", None),
            ("pen.mp4/", None),
        ] {
            assert_eq!(clean_name(name).as_deref(), expected, "{name:?}");
        }
        let long = clean_name(&format!("{}.mp4", "ж".repeat(300))).unwrap_or_default();
        assert_eq!(long.len(), MOST_NAME_BYTES + 4);
    }

    #[test]
    fn a_name_that_is_taken_gets_a_number() {
        let folder = tempfile::tempdir().expect("a folder");
        let at = |name: &str| folder.path().join(name);
        let free = || numbered_names("pen 1.mp4").find(|name| is_free(&at(name))).expect("a name");
        for expected in ["pen 1.mp4", "pen 1 (2).mp4", "pen 1 (3).mp4"] {
            assert_eq!(free(), expected);
            std::fs::write(at(expected), "").expect("it can be written");
        }
        std::fs::write(at("other"), "other").expect("it can be written");
        let error = move_to_free(&at("other"), &at("pen 1.mp4")).expect_err("it is taken");
        assert_eq!(error.kind(), std::io::ErrorKind::AlreadyExists);
        assert!(at("other").exists());
    }
}
