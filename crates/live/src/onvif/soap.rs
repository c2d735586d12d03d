//! SOAP: requests, the password's digest in them, and answers with what they refuse. No I/O.

use crate::address::Credentials;
use crate::onvif::xml::{Element, Vocabulary, XmlError};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use ring::digest::{Context, SHA1_FOR_LEGACY_USE_ONLY};

/// Namespaces of the services.
pub(crate) const DEVICE: &str = "http://www.onvif.org/ver10/device/wsdl";
pub(crate) const MEDIA: &str = "http://www.onvif.org/ver10/media/wsdl";
pub(crate) const MEDIA2: &str = "http://www.onvif.org/ver20/media/wsdl";
const SCHEMA: &str = "http://www.onvif.org/ver10/schema";
const SECURITY: &str = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd";
const UTILITY: &str = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-utility-1.0.xsd";
const DIGEST: &str =
    "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-username-token-profile-1.0#PasswordDigest";
const BASE64: &str =
    "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-soap-message-security-1.0#Base64Binary";
pub(crate) const NONCE_BYTES: usize = 16;
/// Of a refusal, characters.
const MOST_REASON_CHARACTERS: usize = 200;

/// One operation of one service. Inside `body`, the prefix `o` is the service's namespace and `tt` the schema's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Operation {
    pub(crate) service: &'static str,
    pub(crate) name: &'static str,
    pub(crate) body: String,
}

impl Operation {
    pub(crate) fn new(service: &'static str, name: &'static str) -> Self {
        Self { service, name, body: String::new() }
    }

    pub(crate) fn with(self, body: String) -> Self {
        Self { body, ..self }
    }

    /// As SOAP 1.2 states it.
    pub(crate) fn content_type(&self) -> String {
        format!("application/soap+xml; charset=utf-8; action=\"{}/{}\"", self.service, self.name)
    }

    /// The message. `security` is a header of [`user_token`], or nothing.
    pub(crate) fn message(&self, security: &str) -> String {
        let Self { service, name, body } = self;
        format!(
            r#"<?xml version="1.0" encoding="UTF-8"?><s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope"><s:Header>{security}</s:Header><s:Body><o:{name} xmlns:o="{service}" xmlns:tt="{SCHEMA}">{body}</o:{name}></s:Body></s:Envelope>"#
        )
    }
}

/// The header that tells a user and a digest of the password (WS-Security UsernameToken). A camera accepts it if `created` is near its own
/// time.
pub(crate) fn user_token(known: &Credentials, nonce: &[u8; NONCE_BYTES], created: Timestamp) -> String {
    let created = created.strftime("%Y-%m-%dT%H:%M:%S.%3fZ").to_string();
    let digest = password_digest(nonce, &created, &known.password);
    let nonce = STANDARD.encode(nonce);
    let user = escaped(&known.user);
    format!(
        r#"<w:Security s:mustUnderstand="1" xmlns:w="{SECURITY}" xmlns:u="{UTILITY}"><w:UsernameToken><w:Username>{user}</w:Username><w:Password Type="{DIGEST}">{digest}</w:Password><w:Nonce EncodingType="{BASE64}">{nonce}</w:Nonce><u:Created>{created}</u:Created></w:UsernameToken></w:Security>"#
    )
}

fn password_digest(nonce: &[u8; NONCE_BYTES], created: &str, password: &str) -> String {
    let mut digest = Context::new(&SHA1_FOR_LEGACY_USE_ONLY);
    digest.update(nonce);
    digest.update(created.as_bytes());
    digest.update(password.as_bytes());
    STANDARD.encode(digest.finish())
}

/// Text as it stands in XML.
pub(crate) fn escaped(text: &str) -> String {
    quick_xml::escape::escape(text).into_owned()
}

/// Why an answer isn't what was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// User and password are wanted, or wrong.
    NotAuthorized,
    /// The camera refuses for another reason, or doesn't know the operation.
    Fault(String),
    /// It can't be read.
    Unreadable(String),
}

impl From<XmlError> for Refusal {
    fn from(error: XmlError) -> Self {
        Self::Unreadable(error.to_string())
    }
}

/// The envelope of an answer that refuses nothing.
pub(crate) fn read(bytes: &[u8]) -> Result<Element, Refusal> {
    let envelope = Element::read(bytes)?;
    if !envelope.is(Vocabulary::Soap, "Envelope") {
        let name = short(envelope.name());
        return Err(Refusal::Unreadable(format!("it is a document {name:?} and no SOAP")));
    }
    match envelope.at(Vocabulary::Soap, &["Body", "Fault"]) {
        Some(fault) => Err(refusal(fault)),
        None => Ok(envelope),
    }
}

/// In SOAP 1.2 and 1.1.
fn refusal(fault: &Element) -> Refusal {
    let mut codes = Vec::new();
    let mut code = fault.child(Vocabulary::Soap, "Code");
    while let Some(inner) = code {
        codes.extend(inner.text_at(Vocabulary::Soap, &["Value"]));
        code = inner.child(Vocabulary::Soap, "Subcode");
    }
    codes.extend(fault.text_at(Vocabulary::Soap, &["faultcode"]));
    let reason = fault.text_at(Vocabulary::Soap, &["Reason", "Text"]);
    let reason = reason.or_else(|| fault.text_at(Vocabulary::Soap, &["faultstring"])).unwrap_or_default();
    // The codes have prefixes of their own, and some cameras say it in words alone.
    let local = |code: &str| code.rsplit(':').next().unwrap_or_default().to_ascii_lowercase();
    let is_of_password = codes.iter().any(|code| {
        matches!(
            local(code).as_str(),
            "notauthorized"
                | "failedauthentication"
                | "failedcheck"
                | "invalidsecuritytoken"
                | "invalidsecurity"
        )
    });
    let lower = reason.to_ascii_lowercase();
    let words = [
        "not authorized",
        "not authorised",
        "unauthorized",
        "authority failure",
        "wsse authorized",
        "requires authorization",
    ];
    if is_of_password || words.iter().any(|words| lower.contains(words)) {
        return Refusal::NotAuthorized;
    }
    let said = if reason.is_empty() { codes.last().copied().unwrap_or("an error") } else { reason };
    Refusal::Fault(short(said))
}

/// Foreign text for people: one line that isn't long.
pub(crate) fn short(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    line.chars().filter(|character| !character.is_control()).take(MOST_REASON_CHARACTERS).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

    use super::*;

    #[test]
    fn the_digest_is_that_of_the_specification() {
        // From ONVIF's programmer's guide, section 6.1.1.3.
        let known = Credentials { user: "user".to_owned(), password: "userpassword".to_owned() };
        let mut nonce = [0; NONCE_BYTES];
        nonce.copy_from_slice(&STANDARD.decode("LKqI6G/AikKCQrN0zqZFlg==").unwrap());
        let digest = password_digest(&nonce, "2010-09-16T07:50:45Z", &known.password);
        assert_eq!(digest, "tuOSpGlFlIXsozq4HFNeeGeFLEI=");
        let created: Timestamp = "2010-09-16T07:50:45Z".parse().unwrap();
        let token = user_token(&known, &nonce, created);
        assert!(token.contains("<u:Created>2010-09-16T07:50:45.000Z</u:Created>"), "{token}");
        let odd = Credentials { user: "a<b&\"c".to_owned(), password: String::new() };
        assert!(user_token(&odd, &nonce, created).contains("<w:Username>a&lt;b&amp;&quot;c</w:Username>"));
    }

    #[test]
    fn refusals_are_told_apart_in_both_versions_of_soap() {
        let soap12 = |inner: &str| {
            format!(
                r#"<e:Envelope xmlns:e="http://www.w3.org/2003/05/soap-envelope" xmlns:ter="http://www.onvif.org/ver10/error"><e:Body><e:Fault>{inner}</e:Fault></e:Body></e:Envelope>"#
            )
        };
        let soap11 = |inner: &str| {
            format!(
                r#"<e:Envelope xmlns:e="http://schemas.xmlsoap.org/soap/envelope/"><e:Body><e:Fault>{inner}</e:Fault></e:Body></e:Envelope>"#
            )
        };
        for (answer, expected) in [
            (
                soap12(
                    "<e:Code><e:Value>e:Sender</e:Value><e:Subcode><e:Value>ter:NotAuthorized</e:Value></e:Subcode></e:Code><e:Reason><e:Text xml:lang='en'>no</e:Text></e:Reason>",
                ),
                Refusal::NotAuthorized,
            ),
            (
                soap12(
                    "<e:Code><e:Value>e:Sender</e:Value></e:Code><e:Reason><e:Text>The action requested requires authorization and the sender is not authorized</e:Text></e:Reason>",
                ),
                Refusal::NotAuthorized,
            ),
            (
                soap11("<faultcode>wsse:FailedAuthentication</faultcode><faultstring>x</faultstring>"),
                Refusal::NotAuthorized,
            ),
            (
                soap12(
                    "<e:Code><e:Value>e:Receiver</e:Value><e:Subcode><e:Value>ter:ActionNotSupported</e:Value></e:Subcode></e:Code><e:Reason><e:Text>Optional\n  Action Not Implemented</e:Text></e:Reason>",
                ),
                Refusal::Fault("Optional Action Not Implemented".to_owned()),
            ),
            (soap11("<faultcode>e:Server</faultcode>"), Refusal::Fault("e:Server".to_owned())),
            (soap12(""), Refusal::Fault("an error".to_owned())),
            (
                "<html><body>404</body></html>".to_owned(),
                Refusal::Unreadable("it is a document \"html\" and no SOAP".to_owned()),
            ),
        ] {
            assert_eq!(read(answer.as_bytes()).map(|_| ()).unwrap_err(), expected, "{answer}");
        }
    }
}
