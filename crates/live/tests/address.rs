//! Addresses as people type them.

use pigweight_live::CameraAddress;
use pigweight_live::address::AddressError;
use proptest::prelude::*;

fn parts(text: &str) -> (String, Option<(String, String)>) {
    let address = CameraAddress::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
    let credentials = address.credentials().map(|known| (known.user.clone(), known.password.clone()));
    (address.to_string(), credentials)
}

#[test]
fn passwords_may_contain_what_a_url_forbids() {
    for (text, place, user, password) in [
        ("rtsp://cam:secret@10.0.0.5/s", "rtsp://10.0.0.5/s", "cam", "secret"),
        ("rtsp://cam:p@ss:w/rd@10.0.0.5:554/s", "rtsp://10.0.0.5:554/s", "cam", "p@ss:w/rd"),
        ("rtsp://cam:a#b%?c@10.0.0.5:8554/s", "rtsp://10.0.0.5:8554/s", "cam", "a#b%?c"),
        ("rtsp://cam:p%40ss%3Aw%2Frd@barn.local/s?x=1", "rtsp://barn.local/s?x=1", "cam", "p@ss:w/rd"),
        ("rtsp://cam:@10.0.0.5/s", "rtsp://10.0.0.5/s", "cam", ""),
        ("rtsp://cam@10.0.0.5/s", "rtsp://10.0.0.5/s", "cam", ""),
        ("rtsp://cam:пароль@10.0.0.5/s", "rtsp://10.0.0.5/s", "cam", "пароль"),
        ("rtsp://cam:x@[fe80::1]:554/s", "rtsp://[fe80::1]:554/s", "cam", "x"),
        ("  RTSP://cam:x@localhost/s \n", "rtsp://localhost/s", "cam", "x"),
        ("rtsp://cam:x@camera/s", "rtsp://camera/s", "cam", "x"),
    ] {
        let (at, credentials) = parts(text);
        assert_eq!(
            (at.as_str(), credentials),
            (place, Some((user.to_owned(), password.to_owned()))),
            "{text}"
        );
    }
}

#[test]
fn an_at_sign_in_the_path_is_no_password() {
    for text in ["rtsp://10.0.0.5/stream@1", "rtsp://10.0.0.5:554/a:b@main", "rtsp://localhost/a:b@c"] {
        let (_, credentials) = parts(text);
        assert_eq!(credentials, None, "{text}");
    }
}

#[test]
fn an_address_that_can_be_read_in_two_ways_is_refused() {
    for text in [
        "rtsp://cam:p@ss/secret1@barncam/stream1",
        "rtsp://cam:12/secret2@camera/stream1",
        "rtsp://cam:x@10.0.0.5/stream@1",
    ] {
        assert_eq!(CameraAddress::parse(text), Err(AddressError::Ambiguous), "{text}");
    }
}

#[test]
fn passwords_in_paths_and_queries_are_sent_and_not_shown() {
    for (text, shown) in [
        (
            "rtsp://h/user=admin&password=Secret3&channel=1.sdp",
            "rtsp://h/user=admin&password=***&channel=1.sdp",
        ),
        ("rtsp://h/user=admin_password=Secret3_channel=1", "rtsp://h/user=admin_password=***_channel=1"),
        ("rtsp://h/s?PWD=Secret3", "rtsp://h/s?PWD=***"),
        ("rtsp://h/s?pwd=Secret3&pass=Secret4#x", "rtsp://h/s?pwd=***&pass=***#x"),
        ("rtsp://h/s?password=", "rtsp://h/s?password=***"),
    ] {
        let address = CameraAddress::parse(text).unwrap();
        assert_eq!(address.to_string(), shown);
        assert_eq!(address.url().as_str(), text);
    }
}

#[test]
fn what_is_no_address_is_refused() {
    for (text, error) in [
        ("", AddressError::Scheme),
        ("10.0.0.5/s", AddressError::Scheme),
        ("ftp://10.0.0.5/s", AddressError::Scheme),
        ("file:///etc/passwd", AddressError::Scheme),
        ("rtsp://", AddressError::Host),
        ("rtsp:///s", AddressError::Host),
        ("rtsp://cam:x@/s", AddressError::Host),
        ("rtsp://10.0.0.5:99999/s", AddressError::Host),
    ] {
        assert_eq!(CameraAddress::parse(text).expect_err(text), error, "{text}");
    }
    assert_eq!(CameraAddress::parse(&format!("rtsp://h/{}", "x".repeat(4000))), Err(AddressError::Length));
}

proptest! {
    #[test]
    fn a_password_is_never_shown(password in "[ -~]{6,20}") {
        // The password must not be a part of the address by chance.
        prop_assume!(!"rtsp://10.0.0.5:8554/stream CameraAddress()".contains(&password));
        if let Ok(address) = CameraAddress::parse(&format!("rtsp://cam:{password}@10.0.0.5:8554/stream")) {
            let shown = format!("{address} {address:?} {:?} {}", address.credentials(), address.host());
            prop_assert!(!shown.contains(&password), "{}", shown);
            prop_assert_eq!(address.url().host_str(), Some("10.0.0.5"));
        }
    }

    #[test]
    fn any_text_is_read_or_refused(text in "\\PC{0,80}") {
        let _read = CameraAddress::parse(&text);
        let _read = CameraAddress::parse(&format!("rtsp://{text}"));
    }
}

#[test]
fn encrypted_addresses_may_name_the_certificate_they_expect() {
    let digits = "0123456789abcdef".repeat(4);
    let address = CameraAddress::parse(&format!("rtsps://cam:pw@10.0.0.5/s?x=1#sha256={digits}")).unwrap();
    assert_eq!((address.port(), address.host()), (322, "10.0.0.5".to_owned()));
    assert_eq!(address.fingerprint().map(|known| known.to_string()), Some(digits.clone()));
    assert_eq!(address.to_string(), format!("rtsps://10.0.0.5/s?x=1#sha256={digits}"));
    for (text, port) in [("http://10.0.0.5/a.mjpg", 80), ("https://10.0.0.5/", 443), ("rtsp://10.0.0.5", 554)]
    {
        assert_eq!(CameraAddress::parse(text).unwrap().port(), port, "{text}");
    }
    for text in [format!("rtsp://10.0.0.5/s#sha256={digits}"), "rtsps://10.0.0.5/s#sha256=12".to_owned()] {
        assert_eq!(CameraAddress::parse(&text), Err(AddressError::Fingerprint), "{text}");
    }
}

#[test]
fn a_video_is_replayed_by_its_identifier_and_never_by_a_path() {
    let replay = |text: &str| CameraAddress::parse(text).map(|address| address.replay().unwrap());
    let read = replay("replay:01K9ZQ4M7X?speed=2.5&once=true").unwrap();
    assert_eq!((read.video.as_str(), read.speed, read.is_once), ("01K9ZQ4M7X", 2.5, true));
    let read = replay("Replay:01K9ZQ4M7X").unwrap();
    assert_eq!((read.speed, read.is_once), (1.0, false));
    for text in [
        "replay:",
        "replay:/etc/passwd",
        "replay:../a",
        "replay:a%2fb",
        "replay://01K9ZQ4M7X",
        "replay:a?speed=0",
        "replay:a?speed=1e9",
        "replay:a?speed=NaN",
        "replay:a?speed=-1",
        "replay:a?path=b",
        "replay:a#b",
        &format!("replay:{}", "a".repeat(100)),
    ] {
        assert_eq!(replay(text).err(), Some(AddressError::Replay), "{text}");
    }
}

#[test]
fn a_camera_at_this_machine_is_a_video_device_and_no_other_file() {
    let address = CameraAddress::parse("usb:/dev/video12").unwrap();
    assert_eq!(address.device(), Some("/dev/video12".into()));
    for text in [
        "usb:",
        "usb:/dev/video",
        "usb:/dev/videoa",
        "usb:/dev/video0/../mem",
        "usb:/dev/video0?x",
        "usb:/dev/video0#x",
        "usb:/dev/./sda",
        "usb:/etc/passwd",
        "usb:dev/video0",
        "usb://dev/video0",
        "usb:/dev/video%30",
        "usb:/dev/video1234",
    ] {
        assert_eq!(CameraAddress::parse(text), Err(AddressError::Device), "{text}");
    }
}
