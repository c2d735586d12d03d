//! How a camera wants to be told the password.

use http_auth::{ChallengeParser, PasswordClient};

/// Why a challenge isn't answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unanswered {
    /// It asks for the password itself (basic authentication), and the address says never to send that.
    Plain,
    /// It names no way that is supported, or none at all.
    Unsupported,
}

/// Answers the strongest challenge that may be answered. `challenges` are the values of the headers `WWW-Authenticate`.
pub(crate) fn answerer<'a>(
    challenges: impl Iterator<Item = &'a str>,
    is_digest_only: bool,
) -> Result<PasswordClient, Unanswered> {
    let mut builder = PasswordClient::builder();
    let mut is_plain = false;
    for challenge in challenges.flat_map(|value| ChallengeParser::new(value).map_while(Result::ok)) {
        if is_digest_only && challenge.scheme.eq_ignore_ascii_case("basic") {
            is_plain = true;
        } else {
            builder = builder.challenge(&challenge);
        }
    }
    builder.build().map_err(|_| if is_plain { Unanswered::Plain } else { Unanswered::Unsupported })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_not_sent_as_it_is_where_the_address_forbids_it() {
        const DIGEST: &str = r#"Digest realm="r", nonce="n", qop="auth""#;
        for (challenges, is_digest_only, expected) in [
            (&[r#"Basic realm="r""#][..], false, Ok("basic")),
            (&[r#"Basic realm="r""#], true, Err(Unanswered::Plain)),
            (&[r#"Basic realm="r""#, DIGEST], true, Ok("digest")),
            (&[DIGEST, r#"Basic realm="r""#], false, Ok("digest")),
            (&[r#"Bearer realm="r""#], true, Err(Unanswered::Unsupported)),
            (&[""], true, Err(Unanswered::Unsupported)),
            (&[], false, Err(Unanswered::Unsupported)),
        ] {
            let found = answerer(challenges.iter().copied(), is_digest_only).map(|client| match client {
                PasswordClient::Basic(_) => "basic",
                PasswordClient::Digest(_) => "digest",
                _ => "another",
            });
            assert_eq!(found, expected, "{challenges:?}, digest only: {is_digest_only}");
        }
    }
}
