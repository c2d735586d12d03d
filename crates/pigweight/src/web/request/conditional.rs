//! Conditional requests (RFC 9110, section 13).

use axum::http::{HeaderMap, HeaderName, header};

/// Whether `If-None-Match` contains `etag` (with its quotes), so that the answer is 304. The comparison is weak.
pub fn is_known(headers: &HeaderMap, etag: &str) -> bool {
    names(headers, &header::IF_NONE_MATCH, |tag| tag.trim_start_matches("W/") == etag)
}

/// Whether `If-Match` excludes `etag`, so that the answer is 412. The comparison is strong.
pub fn wants_another(headers: &HeaderMap, etag: &str) -> bool {
    headers.contains_key(header::IF_MATCH) && !names(headers, &header::IF_MATCH, |tag| tag == etag)
}

/// Whether one of a header's tags fits. `*` fits any.
fn names(headers: &HeaderMap, header: &HeaderName, fits: impl Fn(&str) -> bool) -> bool {
    headers.get_all(header).iter().any(|value| {
        let Ok(list) = value.to_str() else { return false };
        list.trim() == "*" || tags(list).any(&fits)
    })
}

/// The entity tags of a list. Commas may occur inside quotes.
fn tags(list: &str) -> impl Iterator<Item = &str> {
    let mut rest = list;
    std::iter::from_fn(move || {
        rest = rest.trim_start_matches([' ', '\t', ',']);
        let opening = rest.find('"')?;
        let length = opening + 2 + rest[opening + 1..].find('"')?;
        let (tag, after) = rest.split_at(length);
        rest = after;
        Some(tag)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: &HeaderName, values: &[&str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(name, value.parse().unwrap());
        }
        headers
    }

    #[test]
    fn lists_weak_tags_and_stars_are_understood() {
        let tag = "\"1-a,b-2\"";
        for known in [
            &["\"1-a,b-2\""][..],
            &["W/\"1-a,b-2\""],
            &["*"],
            &["\"other\", \"1-a,b-2\""],
            &["\"other\" ,,W/\"1-a,b-2\",\"x\""],
            &["\"other\"", "\"1-a,b-2\""],
        ] {
            assert!(is_known(&headers(&header::IF_NONE_MATCH, known), tag), "{known:?}");
        }
        for other in
            [&[][..], &[""], &["\"1-a\""], &["1-a,b-2"], &["\"1-a,b-2"], &["\"*\""], &["W/\"1-a"], &["w/*"]]
        {
            assert!(!is_known(&headers(&header::IF_NONE_MATCH, other), tag), "{other:?}");
        }
    }

    #[test]
    fn who_wants_a_certain_version_gets_no_other() {
        let tag = "\"a\"";
        assert!(!wants_another(&HeaderMap::new(), tag));
        for (wanted, is_another) in
            [("\"a\"", false), ("*", false), ("\"b\", \"a\"", false), ("\"b\"", true), ("W/\"a\"", true)]
        {
            assert_eq!(wants_another(&headers(&header::IF_MATCH, &[wanted]), tag), is_another, "{wanted}");
        }
    }
}
