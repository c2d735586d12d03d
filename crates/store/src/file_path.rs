//! Paths as text. File names are bytes and need not be text; two files must not become one because of that.

use std::path::{Path, PathBuf};

/// Marks the form with escapes. A path that is text begins with a slash, as all are absolute.
const ESCAPED: char = '%';

/// A path as the store keeps it: as it is, or, if it isn't UTF-8, with its other bytes in percent escapes behind a percent sign.
pub fn path_text(path: &Path) -> String {
    match path.to_str() {
        Some(text) => text.to_owned(),
        None => escaped(path),
    }
}

#[cfg(unix)]
fn escaped(path: &Path) -> String {
    use std::fmt::Write as _;
    use std::os::unix::ffi::OsStrExt as _;
    let mut text = String::from(ESCAPED);
    for &byte in path.as_os_str().as_bytes() {
        if byte.is_ascii() && byte != b'%' {
            text.push(char::from(byte));
        } else {
            // Writing into a string can't fail.
            let _written = write!(text, "%{byte:02X}");
        }
    }
    text
}

#[cfg(not(unix))]
fn escaped(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

/// The path that [`path_text`] was made from.
pub fn path_of_text(text: &str) -> PathBuf {
    match text.strip_prefix(ESCAPED) {
        Some(escaped) => unescaped(escaped),
        None => PathBuf::from(text),
    }
}

#[cfg(unix)]
fn unescaped(text: &str) -> PathBuf {
    use std::os::unix::ffi::OsStringExt as _;
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        let escape = (*first == b'%').then(|| after.get(..2)).flatten();
        let byte = escape
            .and_then(|digits| std::str::from_utf8(digits).ok())
            .and_then(|digits| u8::from_str_radix(digits, 16).ok());
        bytes.push(byte.unwrap_or(*first));
        rest = if byte.is_some() { &after[2..] } else { after };
    }
    PathBuf::from(std::ffi::OsString::from_vec(bytes))
}

#[cfg(not(unix))]
fn unescaped(text: &str) -> PathBuf {
    PathBuf::from(text)
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use std::ffi::OsString;
    use std::os::unix::ffi::OsStringExt as _;

    #[test]
    fn every_path_comes_back_and_no_two_become_one() {
        let windows_1251 = b"/srv/\xC7\xE0\xE3\xEE\xED 100%.mp4".to_vec();
        let other = b"/srv/\xC7\xE0\xE3\xEE\xEE 100%.mp4".to_vec();
        let paths = [
            b"/srv/pens/1.mp4".to_vec(),
            "/srv/Загон 100%25.mp4".into(),
            windows_1251,
            other,
            b"/srv/\xFF%41".to_vec(),
        ];
        let texts: Vec<String> = paths
            .iter()
            .map(|bytes| {
                let path = PathBuf::from(OsString::from_vec(bytes.clone()));
                let text = path_text(&path);
                assert_eq!(path_of_text(&text), path, "{text}");
                text
            })
            .collect();
        assert_eq!(texts[0], "/srv/pens/1.mp4");
        assert_eq!(texts[2], "%/srv/%C7%E0%E3%EE%ED 100%25.mp4");
        let different: std::collections::BTreeSet<&String> = texts.iter().collect();
        assert_eq!(different.len(), texts.len());
    }
}
