//! Answers to a probe, as makers' devices send them.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use pigweight_live::onvif::read_probe_matches;
use proptest::prelude::{any, prop, proptest};
use std::net::IpAddr;

const HEAD: &str = r#"<SOAP-ENV:Envelope xmlns:SOAP-ENV="http://www.w3.org/2003/05/soap-envelope" xmlns:wsa="http://schemas.xmlsoap.org/ws/2004/08/addressing" xmlns:d="http://schemas.xmlsoap.org/ws/2005/04/discovery" xmlns:dn="http://www.onvif.org/ver10/network/wsdl"><SOAP-ENV:Body><d:ProbeMatches>"#;
const TAIL: &str = "</d:ProbeMatches></SOAP-ENV:Body></SOAP-ENV:Envelope>";

fn answer(types: &str, scopes: &str, places: &str) -> String {
    let found = format!(
        "<d:ProbeMatch><d:Types>{types}</d:Types><d:Scopes>{scopes}</d:Scopes><d:XAddrs>{places}</d:XAddrs></d:ProbeMatch>"
    );
    format!("{HEAD}{found}{TAIL}")
}

#[test]
fn a_device_is_asked_at_the_address_that_it_answered_from() {
    let host: IpAddr = "192.168.1.64".parse().unwrap();
    let camera = "dn:NetworkVideoTransmitter";
    let whole = answer(camera, "", "http://192.168.1.64/a");
    let cut_off = whole[..whole.len() - 40].to_owned();
    for (what, datagram, expected) in [
        (
            "one address",
            answer(
                camera,
                "onvif://www.onvif.org/name/Gate%20camera onvif://www.onvif.org/hardware/DS-2CD",
                "http://192.168.1.64/onvif/device_service",
            ),
            Some(("http://192.168.1.64/onvif/device_service", None, Some("Gate camera"), Some("DS-2CD"))),
        ),
        (
            "several, its own last",
            answer(
                camera,
                "",
                "http://[fe80::1]/onvif/device_service http://169.254.8.8:80/x http://192.168.1.64:8000/onvif/device_service",
            ),
            Some(("http://192.168.1.64:8000/onvif/device_service", None, None, None)),
        ),
        (
            "the one it left the factory with",
            answer(
                camera,
                "odd:scope onvif://www.onvif.org/Name/IPC_1",
                "http://192.168.0.10:8899/onvif/device_service",
            ),
            Some((
                "http://192.168.1.64:8899/onvif/device_service",
                Some("192.168.0.10"),
                Some("IPC 1"),
                None,
            )),
        ),
        (
            "a third host",
            answer(camera, "", "http://collector.example/onvif/device_service?x=y"),
            Some(("http://192.168.1.64/onvif/device_service?x=y", Some("collector.example"), None, None)),
        ),
        (
            "none",
            answer(camera, "", ""),
            Some(("http://192.168.1.64/onvif/device_service", None, None, None)),
        ),
        (
            "none that can be",
            answer(camera, "", "soap.udp://192.168.1.64:3702 file:///etc/passwd"),
            Some(("http://192.168.1.64/onvif/device_service", None, None, None)),
        ),
        (
            "known by its scopes",
            answer("", "onvif://www.onvif.org/type/video_encoder", "http://192.168.1.64/a"),
            Some(("http://192.168.1.64/a", None, None, None)),
        ),
        (
            "a device by its other type",
            answer("tds:Device", "", "http://192.168.1.64/a"),
            Some(("http://192.168.1.64/a", None, None, None)),
        ),
        ("a printer", answer("wprt:PrintDeviceType", "", "http://192.168.1.64/print"), None),
        ("a computer", answer("wsdp:Computer", "", "http://192.168.1.64:5357/x"), None),
        ("no match", format!("{HEAD}{TAIL}"), None),
        ("no XML", "M-SEARCH * HTTP/1.1".to_owned(), None),
        ("our own probe", "<Envelope><Body><Probe/></Body></Envelope>".to_owned(), None),
        ("a document type", format!("<!DOCTYPE x>{}", answer(camera, "", "")), None),
        ("cut off", cut_off, None),
    ] {
        let found = read_probe_matches(datagram.as_bytes(), host);
        let found = found.first().map(|found| {
            assert_eq!(found.host, host);
            (
                found.service.url().to_string(),
                found.named_host.clone(),
                found.name.clone(),
                found.hardware.clone(),
            )
        });
        let text = |text: Option<&str>| text.map(str::to_owned);
        let expected = expected.map(|(service, host, name, hardware)| {
            (service.to_owned(), text(host), text(name), text(hardware))
        });
        assert_eq!(found, expected, "{what}");
    }
}

#[test]
fn a_datagram_holds_a_few_devices_at_most() {
    let one = "<d:ProbeMatch><d:Types>dn:NetworkVideoTransmitter</d:Types><d:XAddrs>http://10.0.0.1/</d:XAddrs></d:ProbeMatch>";
    let found = read_probe_matches(
        format!("{HEAD}{}{TAIL}", one.repeat(200)).as_bytes(),
        "10.0.0.1".parse().unwrap(),
    );
    assert_eq!(found.len(), 8);
}

proptest! {
    #[test]
    fn no_datagram_breaks_anything(
        noise in prop::collection::vec(any::<u8>(), 0..300),
        at in 0usize..600,
        length in 0usize..60,
    ) {
        let host: IpAddr = "10.0.0.1".parse().unwrap();
        read_probe_matches(&noise, host);
        // A sound one, with something else in the middle.
        let sound = answer("dn:NetworkVideoTransmitter", "onvif://www.onvif.org/name/%41", "http://10.0.0.1/");
        let mut bytes = sound.into_bytes();
        let from = at.min(bytes.len());
        let to = (from + length).min(bytes.len());
        bytes.splice(from..to, noise);
        for found in read_probe_matches(&bytes, host) {
            assert_eq!(found.service.url().host_str(), Some("10.0.0.1"));
        }
    }
}
