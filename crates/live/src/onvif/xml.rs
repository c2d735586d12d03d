//! Answers of cameras as a small tree: elements are found by namespace and name. Prefixes differ from maker to maker.
//!
//! A document has at most [`MOST_BYTES`], [`MOST_DEPTH`] and [`MOST_ELEMENTS`]. A document type is refused, and no entity but the five of XML
//! stands for anything. Cameras forget to declare prefixes, or leave namespaces out; such elements are known by their names alone. What is of a
//! namespace that is declared and another isn't taken for it.

use quick_xml::events::{BytesStart, Event};
use quick_xml::name::{Namespace, ResolveResult};
use quick_xml::{NsReader, XmlVersion};

/// Of an answer.
pub(crate) const MOST_BYTES: usize = 1 << 20;
/// Elements inside elements. Cameras' answers have ten.
const MOST_DEPTH: usize = 40;
/// A camera with 32 profiles, each with all its settings, sends half as many.
const MOST_ELEMENTS: usize = 20_000;
/// Of one element.
const MOST_ATTRIBUTES: usize = 64;

/// Whose words they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Vocabulary {
    Soap,
    Addressing,
    Discovery,
    /// All of ONVIF's: cameras mix them up.
    Onvif,
    /// No namespace, or a prefix that isn't declared.
    Unstated,
    Other,
}

impl Vocabulary {
    fn of(found: &ResolveResult<'_>) -> Self {
        match found {
            ResolveResult::Bound(Namespace(uri)) => match uri.trim_end_matches('/') {
                "http://www.w3.org/2003/05/soap-envelope" | "http://schemas.xmlsoap.org/soap/envelope" => {
                    Self::Soap
                }
                "http://schemas.xmlsoap.org/ws/2004/08/addressing"
                | "http://www.w3.org/2005/08/addressing" => Self::Addressing,
                "http://schemas.xmlsoap.org/ws/2005/04/discovery"
                | "http://docs.oasis-open.org/ws-dd/ns/discovery/2009/01" => Self::Discovery,
                uri if uri.starts_with("http://www.onvif.org/") => Self::Onvif,
                _ => Self::Other,
            },
            ResolveResult::Unbound | ResolveResult::Unknown(_) => Self::Unstated,
        }
    }
}

/// Why an answer can't be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum XmlError {
    #[error("it is no XML: {0}")]
    Malformed(String),
    #[error("it declares a document type, which no answer of a camera needs")]
    DocumentType,
    #[error("it has more than {MOST_DEPTH} elements inside each other")]
    TooDeep,
    #[error("it has more than {MOST_ELEMENTS} elements, or more than {MOST_ATTRIBUTES} attributes at one")]
    TooMany,
    #[error("it ends in the middle")]
    CutOff,
}

/// An element with all that is in it.
#[derive(Debug)]
pub(crate) struct Element {
    vocabulary: Vocabulary,
    name: String,
    /// By their names without prefixes.
    attributes: Vec<(String, String)>,
    text: String,
    children: Vec<Element>,
}

impl Element {
    /// Reads a document.
    ///
    /// # Errors
    /// [`XmlError`].
    pub(crate) fn read(bytes: &[u8]) -> Result<Self, XmlError> {
        let text = String::from_utf8_lossy(bytes);
        let text = text.trim_start_matches('\u{feff}').trim_matches(['\0', ' ', '\r', '\n', '\t']);
        let mut reader = NsReader::from_str(text);
        // Addresses with a bare & are common.
        reader.config_mut().allow_dangling_amp = true;
        reader.config_mut().expand_empty_elements = true;
        let mut open: Vec<Self> = Vec::new();
        let mut elements = 0;
        loop {
            let (namespace, event) =
                reader.read_resolved_event().map_err(|error| XmlError::Malformed(error.to_string()))?;
            match event {
                Event::Start(start) => {
                    elements += 1;
                    if elements > MOST_ELEMENTS {
                        return Err(XmlError::TooMany);
                    }
                    if open.len() == MOST_DEPTH {
                        return Err(XmlError::TooDeep);
                    }
                    open.push(Self::of(Vocabulary::of(&namespace), &start)?);
                }
                Event::End(_) => {
                    let Some(mut done) = open.pop() else {
                        return Err(XmlError::Malformed("an element ends that has not begun".to_owned()));
                    };
                    done.text = done.text.trim().to_owned();
                    match open.last_mut() {
                        Some(parent) => parent.children.push(done),
                        // What follows the document is of no interest.
                        None => return Ok(done),
                    }
                }
                Event::Text(text) => add(&mut open, &text.xml10_content()),
                Event::CData(text) => add(&mut open, &text.xml10_content()),
                Event::GeneralRef(reference) => match reference.resolve_char_ref() {
                    Ok(Some(character)) => add(&mut open, character.encode_utf8(&mut [0; 4])),
                    _ => match quick_xml::escape::resolve_predefined_entity(&reference) {
                        Some(meaning) => add(&mut open, meaning),
                        // An unknown entity stays as text.
                        None => add(&mut open, &format!("&{};", &*reference)),
                    },
                },
                Event::DocType(_) => return Err(XmlError::DocumentType),
                Event::Empty(_) | Event::Comment(_) | Event::Decl(_) | Event::PI(_) => {}
                Event::Eof => return Err(XmlError::CutOff),
            }
        }
    }

    fn of(vocabulary: Vocabulary, start: &BytesStart<'_>) -> Result<Self, XmlError> {
        let mut attributes = Vec::new();
        // With checks, the time grows with the square of their number.
        for attribute in start.attributes().with_checks(false) {
            let attribute = attribute.map_err(|error| XmlError::Malformed(error.to_string()))?;
            if attribute.key.as_namespace_binding().is_some() {
                continue;
            }
            if attributes.len() == MOST_ATTRIBUTES {
                return Err(XmlError::TooMany);
            }
            let value = attribute
                .normalized_value(XmlVersion::Implicit1_0)
                .map_err(|error| XmlError::Malformed(error.to_string()))?;
            attributes.push((attribute.key.local_name().into_inner().to_owned(), value.into_owned()));
        }
        Ok(Self {
            vocabulary,
            name: start.local_name().into_inner().to_owned(),
            attributes,
            text: String::new(),
            children: Vec::new(),
        })
    }

    /// Whether it is this word of this vocabulary.
    pub(crate) fn is(&self, vocabulary: Vocabulary, name: &str) -> bool {
        self.name == name && (self.vocabulary == vocabulary || self.vocabulary == Vocabulary::Unstated)
    }

    /// What it holds, without spaces around it.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// Its name without a prefix.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// An attribute by its name without a prefix.
    pub(crate) fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// The elements of this name directly in it.
    pub(crate) fn all<'a>(&'a self, vocabulary: Vocabulary, name: &'a str) -> impl Iterator<Item = &'a Self> {
        self.children.iter().filter(move |child| child.is(vocabulary, name))
    }

    /// The first one of this name directly in it.
    pub(crate) fn child(&self, vocabulary: Vocabulary, name: &str) -> Option<&Self> {
        self.children.iter().find(|child| child.is(vocabulary, name))
    }

    /// Along a path of names.
    pub(crate) fn at(&self, vocabulary: Vocabulary, path: &[&str]) -> Option<&Self> {
        path.iter().try_fold(self, |element, name| element.child(vocabulary, name))
    }

    /// The text along a path of names; `None` if it is empty.
    pub(crate) fn text_at(&self, vocabulary: Vocabulary, path: &[&str]) -> Option<&str> {
        self.at(vocabulary, path).map(Self::text).filter(|text| !text.is_empty())
    }

    /// The first one of this name anywhere in it.
    pub(crate) fn find(&self, vocabulary: Vocabulary, name: &str) -> Option<&Self> {
        self.children.iter().find_map(|child| {
            if child.is(vocabulary, name) { Some(child) } else { child.find(vocabulary, name) }
        })
    }
}

fn add(open: &mut [Element], text: &str) {
    if let Some(element) = open.last_mut() {
        element.text.push_str(text);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

    use super::*;
    use Vocabulary::Onvif;

    #[test]
    fn elements_are_known_by_their_namespace_and_not_by_their_prefix() {
        for (document, expected) in [
            (r#"<a xmlns:tt="http://www.onvif.org/ver10/schema"><tt:Uri>x</tt:Uri></a>"#, Some("x")),
            (r#"<a xmlns:n1="http://www.onvif.org/ver10/schema"><n1:Uri>x</n1:Uri></a>"#, Some("x")),
            (r#"<a xmlns="http://www.onvif.org/ver10/media/wsdl"><Uri>x</Uri></a>"#, Some("x")),
            // Forgotten, and not declared.
            ("<a><Uri>x</Uri></a>", Some("x")),
            ("<a><tt:Uri>x</tt:Uri></a>", Some("x")),
            // A maker's own, before and instead of ONVIF's.
            (r#"<a xmlns:tt="http://maker.example/tt"><tt:Uri>x</tt:Uri></a>"#, None),
            (
                r#"<a xmlns:tt="http://www.onvif.org/ver10/schema" xmlns:m="urn:m"><m:Uri>y</m:Uri><tt:Uri> x </tt:Uri></a>"#,
                Some("x"),
            ),
            // Entities: the five, and none that was made up.
            ("<a><Uri>x&amp;y&#61;z&<b/>1</Uri></a>", Some("x&y=z&1")),
            ("<a><Uri>&bomb;</Uri></a>", Some("&bomb;")),
            ("<a><Uri><![CDATA[x&y]]></Uri></a>", Some("x&y")),
            ("\u{feff}<?xml version=\"1.0\"?>\n<!-- c --><a><Uri>x</Uri></a>\0\0", Some("x")),
        ] {
            let element =
                Element::read(document.as_bytes()).unwrap_or_else(|error| panic!("{document}: {error}"));
            assert_eq!(element.text_at(Onvif, &["Uri"]), expected, "{document}");
        }
    }

    #[test]
    fn hostile_documents_are_refused() {
        let deep = "<a>".repeat(100_000);
        let wide = format!("<a>{}</a>", "<b/>".repeat(100_000));
        let attributes = format!("<a {}/>", (0..1000).map(|n| format!("a{n}=\"\" ")).collect::<String>());
        let namespaces =
            format!("<a {}/>", (0..10_000).map(|n| format!("xmlns:a{n}=\"u{n}\" ")).collect::<String>());
        let bomb = r#"<!DOCTYPE l [<!ENTITY a "ha"><!ENTITY b "&a;&a;">]><l>&b;</l>"#;
        for (document, expected) in [
            (deep.as_str(), "inside each other"),
            (&wide, "elements"),
            (&attributes, "attributes"),
            (&namespaces, "no XML"),
            (bomb, "document type"),
            (r#"<!DOCTYPE l SYSTEM "file:///etc/passwd"><l/>"#, "document type"),
            ("<a><b></a>", "no XML"),
            ("<a><b>", "in the middle"),
            ("", "in the middle"),
            ("GET / HTTP/1.0", "in the middle"),
            ("<a b=\"&bomb;\"/>", "no XML"),
            ("<a>&#x110000;</a>", ""),
        ] {
            let error = match Element::read(document.as_bytes()) {
                Ok(_) => String::new(),
                Err(error) => error.to_string(),
            };
            let begin: String = document.chars().take(60).collect();
            assert!(error.contains(expected), "{begin}: {error:?}");
        }
    }
}
