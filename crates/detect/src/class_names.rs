//! The names of a model's classes as exporters write them into its metadata.
//!
//! A Python dictionary (Ultralytics: `{0: 'sow', 1: 'piglet'}`), JSON (`{"0": "sow"}`), or a list of either. The numbers count, not the order.

use std::collections::BTreeMap;

/// Numbers beyond this are no classes.
const MOST_CLASSES: usize = 10_000;

/// Names by number; a number without a name gets one. Empty if the text holds no names.
pub(crate) fn class_names(text: &str) -> Vec<String> {
    let Some(named) = named(text) else { return Vec::new() };
    let Some((&last, _)) = named.last_key_value() else { return Vec::new() };
    (0..=last)
        .map(|number| named.get(&number).cloned().unwrap_or_else(|| format!("class {number}")))
        .collect()
}

fn named(text: &str) -> Option<BTreeMap<usize, String>> {
    let mut rest = Text(text.trim());
    let is_list = match rest.next()? {
        '{' => false,
        '[' | '(' => true,
        _ => return None,
    };
    let mut named = BTreeMap::new();
    loop {
        rest.skip_spaces();
        if rest.0.starts_with(['}', ']', ')']) {
            return Some(named);
        }
        let number = if is_list { named.len() } else { rest.key()? };
        let name = rest.quoted()?;
        if number >= MOST_CLASSES {
            return None;
        }
        named.insert(number, name);
        rest.skip_spaces();
        if rest.0.starts_with(',') {
            rest.next();
        }
    }
}

struct Text<'a>(&'a str);

impl Text<'_> {
    fn next(&mut self) -> Option<char> {
        let mut characters = self.0.chars();
        let next = characters.next();
        self.0 = characters.as_str();
        next
    }

    fn skip_spaces(&mut self) {
        self.0 = self.0.trim_start();
    }

    /// A number, with or without quotes, and the colon after it.
    fn key(&mut self) -> Option<usize> {
        let number = if self.0.starts_with(['"', '\'']) {
            self.quoted()?.trim().parse().ok()?
        } else {
            let end = self.0.find(|character: char| !character.is_ascii_digit()).unwrap_or(self.0.len());
            let (digits, after) = self.0.split_at(end);
            self.0 = after;
            digits.parse().ok()?
        };
        self.skip_spaces();
        (self.next()? == ':').then_some(())?;
        self.skip_spaces();
        Some(number)
    }

    /// A text in quotes of either kind, with the escapes of Python and JSON.
    fn quoted(&mut self) -> Option<String> {
        let quote = self.next().filter(|quote| matches!(quote, '"' | '\''))?;
        let mut text = String::new();
        loop {
            match self.next()? {
                end if end == quote => return Some(text),
                '\\' => match self.next()? {
                    'n' => text.push('\n'),
                    't' => text.push('\t'),
                    'r' => text.push('\r'),
                    'u' => text.push(self.code(4)?),
                    'U' => text.push(self.code(8)?),
                    'x' => text.push(self.code(2)?),
                    other => text.push(other),
                },
                other => text.push(other),
            }
        }
    }

    /// A character by so many hexadecimal digits; of JSON's pairs the second follows.
    fn code(&mut self, digits: usize) -> Option<char> {
        let mut value = self.hexadecimal(digits)?;
        if digits == 4 && (0xD800..0xDC00).contains(&value) {
            self.0 = self.0.strip_prefix("\\u")?;
            let low = self.hexadecimal(4)?.checked_sub(0xDC00).filter(|&low| low < 0x400)?;
            value = 0x1_0000 + ((value - 0xD800) << 10) + low;
        }
        char::from_u32(value)
    }

    fn hexadecimal(&mut self, digits: usize) -> Option<u32> {
        let value = u32::from_str_radix(self.0.get(..digits)?, 16).ok()?;
        self.0 = &self.0[digits..];
        Some(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_by_their_numbers_in_each_form() {
        for (text, expected) in [
            ("{0: 'sow', 1: \"farmer's dog\", 2: 'piglet'}", &["sow", "farmer's dog", "piglet"][..]),
            ("{1: 'piglet', 0: 'dog'}", &["dog", "piglet"]),
            (r#"{"0": "sow", "1": "piglet"}"#, &["sow", "piglet"]),
            (r#"{ "1":"piglet" , "0":"sow" }"#, &["sow", "piglet"]),
            ("{0: 'sow', 3: 'boar',}", &["sow", "class 1", "class 2", "boar"]),
            (r#"["sow", "piglet"]"#, &["sow", "piglet"]),
            ("['sow', 'piglet']", &["sow", "piglet"]),
            (r"{0: 'farmer\'s dog', 1: '\u0441\u0432\u0438\u043d\u044c\u044f'}", &["farmer's dog", "свинья"]),
            (r#"{"0": "pig \ud83d\udc37 \"A\"", "1": "a\\b, {c}"}"#, &["pig \u{1F437} \"A\"", r"a\b, {c}"]),
            ("{}", &[]),
            ("", &[]),
            ("no names", &[]),
            ("{0: 'sow'", &[]),
            ("{0: sow}", &[]),
            ("{99999999: 'sow'}", &[]),
            ("{-1: 'sow'}", &[]),
        ] {
            assert_eq!(class_names(text), expected, "{text}");
        }
    }
}
