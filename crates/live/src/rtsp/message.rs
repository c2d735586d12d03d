//! Heads of RTSP messages, read within bounds.

use crate::failure::Failure;
use tokio::io::{AsyncBufRead, AsyncBufReadExt as _, AsyncReadExt as _};

/// Longest head of a message, all its lines together. Cameras send some hundred bytes.
pub(crate) const MOST_HEAD_BYTES: usize = 16 << 10;
/// Largest body of a message: a session description has a few thousand bytes.
pub(crate) const MOST_BODY_BYTES: usize = 256 << 10;

/// The first line of a message and its headers, in their order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Head {
    /// Without the line's end.
    pub(crate) first_line: String,
    headers: Vec<(String, String)>,
}

/// Why there is no message.
#[derive(Debug)]
pub(crate) enum Unread {
    /// The connection has ended or failed.
    Io(std::io::Error),
    /// What came is refused.
    Refused(Failure),
}

impl From<std::io::Error> for Unread {
    fn from(error: std::io::Error) -> Self {
        Self::Io(error)
    }
}

fn oversized(what: &str) -> Unread {
    Unread::Refused(Failure::Oversized { what: what.to_owned() })
}

/// A line without its end; `left` is what the head may still take. Fails at the end of the stream.
async fn line(from: &mut (impl AsyncBufRead + Unpin), left: &mut usize) -> Result<String, Unread> {
    let mut line = Vec::new();
    // One byte more than allowed shows that there would be more.
    let read = from.take(*left as u64 + 1).read_until(b'\n', &mut line).await?;
    if read > *left {
        return Err(oversized(&format!("a header of more than {MOST_HEAD_BYTES} bytes")));
    }
    *left -= read;
    if line.pop() != Some(b'\n') {
        return Err(Unread::Io(std::io::ErrorKind::UnexpectedEof.into()));
    }
    if line.last() == Some(&b'\r') {
        line.pop();
    }
    Ok(String::from_utf8_lossy(&line).into_owned())
}

impl Head {
    /// Reads a head to its empty line.
    ///
    /// # Errors
    /// If the stream ends or is too long. `is_message` judges the first line, before more is waited for.
    pub(crate) async fn read(
        from: &mut (impl AsyncBufRead + Unpin),
        is_message: impl Fn(&str) -> Result<(), Failure>,
    ) -> Result<Self, Unread> {
        let mut left = MOST_HEAD_BYTES;
        let first_line = line(from, &mut left).await?;
        is_message(&first_line).map_err(Unread::Refused)?;
        let mut headers: Vec<(String, String)> = Vec::new();
        loop {
            let line = line(from, &mut left).await?;
            if line.is_empty() {
                return Ok(Self { first_line, headers });
            }
            match (line.split_once(':'), headers.last_mut()) {
                // A line that begins with a space continues the one before.
                (_, Some((_, value))) if line.starts_with([' ', '\t']) => {
                    value.push(' ');
                    value.push_str(line.trim());
                }
                (Some((name, value)), _) => headers.push((name.trim().to_owned(), value.trim().to_owned())),
                // Some cameras send lines that are no headers.
                (None, _) => {}
            }
        }
    }

    /// The first header of this name.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        let named = self.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
        named.map(|(_, value)| value.as_str())
    }

    /// All headers of this name.
    pub(crate) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        let named = self.headers.iter().filter(move |(known, _)| known.eq_ignore_ascii_case(name));
        named.map(|(_, value)| value.as_str())
    }

    /// Replaces all headers of this name with one; `None` removes them.
    pub(crate) fn set(&mut self, name: &str, value: Option<String>) {
        self.headers.retain(|(known, _)| !known.eq_ignore_ascii_case(name));
        self.headers.extend(value.map(|value| (name.to_owned(), value)));
    }

    /// Reads the body that this head announces.
    ///
    /// # Errors
    /// If it is too long, or ends early.
    pub(crate) async fn body(&self, from: &mut (impl AsyncBufRead + Unpin)) -> Result<Vec<u8>, Unread> {
        let Some(length) = self.get("Content-Length") else { return Ok(Vec::new()) };
        let length: u64 = length.parse().map_err(|_| {
            let reason = format!("its length of a message is {length:?}");
            Unread::Refused(Failure::Ended { reason })
        })?;
        if length > MOST_BODY_BYTES as u64 {
            return Err(oversized(&format!("a description of {length} bytes")));
        }
        let mut body = vec![0; usize::try_from(length).unwrap_or(MOST_BODY_BYTES)];
        from.read_exact(&mut body).await?;
        Ok(body)
    }

    /// As it is sent, with its body.
    pub(crate) fn bytes(&self, body: &[u8]) -> Vec<u8> {
        let mut text = format!("{}\r\n", self.first_line);
        for (name, value) in &self.headers {
            text.push_str(&format!("{name}: {value}\r\n"));
        }
        text.push_str("\r\n");
        let mut bytes = text.into_bytes();
        bytes.extend_from_slice(body);
        bytes
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

    use super::*;

    async fn read(text: &str) -> Result<(Head, Vec<u8>), Unread> {
        let mut from = text.as_bytes();
        let head = Head::read(&mut from, |_| Ok(())).await?;
        let body = head.body(&mut from).await?;
        Ok((head, body))
    }

    #[tokio::test]
    async fn a_head_is_read_with_bare_line_ends_and_folded_lines() {
        let (head, body) =
            read("RTSP/1.0 200 OK\nCSeq:1\r\nSession: 12;\r\n timeout=60\r\nnonsense\r\ncontent-length: 2\r\n\r\nabc")
                .await
                .unwrap();
        assert_eq!((head.get("cseq"), head.get("Session")), (Some("1"), Some("12; timeout=60")));
        assert_eq!(body, b"ab");
        let sent = String::from_utf8(head.bytes(&body)).unwrap();
        assert!(sent.starts_with("RTSP/1.0 200 OK\r\nCSeq: 1\r\n") && sent.ends_with("\r\n\r\nab"), "{sent}");
    }

    #[tokio::test]
    async fn what_is_longer_than_any_camera_needs_is_refused_before_it_is_read() {
        let endless = format!("RTSP/1.0 200 OK\r\nX: {}", "x".repeat(MOST_HEAD_BYTES));
        for text in [
            endless.as_str(),
            "RTSP/1.0 200 OK\r\nContent-Length: 4294967296\r\n\r\n",
            "RTSP/1.0 200 OK\r\nContent-Length: 300000\r\n\r\n",
        ] {
            let found = read(text).await;
            assert!(matches!(found, Err(Unread::Refused(Failure::Oversized { .. }))), "{found:?}");
        }
        let minus = read("RTSP/1.0 200 OK\r\nContent-Length: -1\r\n\r\n").await;
        assert!(matches!(minus, Err(Unread::Refused(Failure::Ended { .. }))), "{minus:?}");
        let short = read("RTSP/1.0 200 OK\r\nContent-Length: 10\r\n\r\nabc").await;
        assert!(matches!(short, Err(Unread::Io(_))), "{short:?}");
    }
}
