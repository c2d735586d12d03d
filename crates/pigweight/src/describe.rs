//! Text for people: errors with their causes, durations.

use std::error::Error;
use std::fmt;

/// An error with its causes in one line, without repetitions.
pub struct Chain<'a>(pub &'a dyn Error);

impl fmt::Display for Chain<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut message = self.0.to_string();
        write!(formatter, "{message}")?;
        let mut source = self.0.source();
        while let Some(error) = source {
            let text = error.to_string();
            if !message.contains(&text) {
                write!(formatter, ": {text}")?;
                message = text;
            }
            source = error.source();
        }
        Ok(())
    }
}

/// Foreign text, made safe for terminals, logs and pages: characters that would move the cursor, clear the screen, start a line, or turn the direction of
/// writing are escaped as in Rust. A file may have any name.
pub fn printable(text: &str) -> String {
    let shown = |character: char| -> Box<dyn Iterator<Item = char>> {
        if character.is_control() || is_layout(character) {
            Box::new(character.escape_default())
        } else {
            Box::new(std::iter::once(character))
        }
    };
    text.chars().flat_map(shown).collect()
}

/// Marks of direction and line separators (Unicode UAX 9 and 14), with which one name can look like another.
fn is_layout(character: char) -> bool {
    matches!(character, '\u{61C}' | '\u{200E}' | '\u{200F}' | '\u{2028}'..='\u{202E}' | '\u{2066}'..='\u{2069}')
}

/// `1:02:03.4`, or `2:03.4` below an hour.
pub fn clock(secs: f64) -> String {
    let tenths = (secs.max(0.0) * 10.0).round() as u64;
    let (hours, minutes, secs, tenth) = (tenths / 36_000, tenths / 600 % 60, tenths / 10 % 60, tenths % 10);
    if hours > 0 {
        format!("{hours}:{minutes:02}:{secs:02}.{tenth}")
    } else {
        format!("{minutes}:{secs:02}.{tenth}")
    }
}

/// `1 frame`, `2 frames`.
pub fn counted(number: impl fmt::Display, one: &str) -> String {
    let number = number.to_string();
    let ending = if number == "1" { "" } else { "s" };
    format!("{number} {one}{ending}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_files_name_moves_no_cursor() {
        assert_eq!(printable("загон\u{1b}[2J\n №1.mp4"), "загон\\u{1b}[2J\\n №1.mp4");
    }

    #[test]
    fn spans_read_like_a_clock() {
        assert_eq!(clock(0.04), "0:00.0");
        assert_eq!(clock(59.96), "1:00.0");
        assert_eq!(clock(3723.4), "1:02:03.4");
        assert_eq!(clock(-1.0), "0:00.0");
    }

    #[test]
    fn one_is_singular() {
        let texts = [0, 1, 2, 11].map(|number| counted(number, "frame"));
        assert_eq!(texts, ["0 frames", "1 frame", "2 frames", "11 frames"]);
    }
}
