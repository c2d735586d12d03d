//! Answers as makers' cameras give them, written by the public specification.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use super::*;

/// With ONVIF's usual prefixes.
fn usual(body: &str) -> Element {
    let document = format!(
        r#"<s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope" xmlns:tds="http://www.onvif.org/ver10/device/wsdl" xmlns:trt="http://www.onvif.org/ver10/media/wsdl" xmlns:tr2="http://www.onvif.org/ver20/media/wsdl" xmlns:tt="http://www.onvif.org/ver10/schema"><s:Body>{body}</s:Body></s:Envelope>"#
    );
    Element::read(document.as_bytes()).unwrap()
}

/// Without any namespace.
fn bare(body: &str) -> Element {
    Element::read(format!("<Envelope><Body>{body}</Body></Envelope>").as_bytes()).unwrap()
}

#[test]
fn clocks_are_read_in_utc_where_they_are_told_so() {
    let moment = |which: &str, hour: &str, day: &str| {
        format!(
            "<tt:{which}><tt:Time><tt:Hour>{hour}</tt:Hour><tt:Minute>5</tt:Minute><tt:Second>7</tt:Second></tt:Time><tt:Date><tt:Year>2026</tt:Year><tt:Month>3</tt:Month><tt:Day>{day}</tt:Day></tt:Date></tt:{which}>"
        )
    };
    let both = moment("UTCDateTime", "9", "4") + &moment("LocalDateTime", "12", "4");
    for (what, told, expected) in [
        ("both", both.as_str(), Some("2026-03-04T09:05:07Z")),
        ("local alone", &moment("LocalDateTime", "12", "4"), Some("2026-03-04T12:05:07Z")),
        (
            "a leap second",
            &moment("UTCDateTime", "9", "4").replace(">7<", ">60<"),
            Some("2026-03-04T09:05:59Z"),
        ),
        ("no such hour", &moment("UTCDateTime", "25", "4"), None),
        ("no such day", &moment("UTCDateTime", "9", "31").replace(">3<", ">2<"), None),
        ("no number", &moment("UTCDateTime", "x", "4"), None),
        ("a far year", &moment("UTCDateTime", "9", "4").replace("2026", "99999"), None),
        ("empty", "<tt:UTCDateTime/>", None),
        ("nothing", "", None),
    ] {
        let body = format!(
            "<tds:GetSystemDateAndTimeResponse><tds:SystemDateAndTime>{told}</tds:SystemDateAndTime></tds:GetSystemDateAndTimeResponse>"
        );
        let read = time(&usual(&body)).map(|time| time.to_string());
        assert_eq!(read.as_deref(), expected, "{what}");
    }
}

#[test]
fn services_and_capabilities_name_the_media_services() {
    let service = |namespace: &str, place: &str| {
        format!(
            "<tds:Service><tds:Namespace>{namespace}</tds:Namespace><tds:XAddr>{place}</tds:XAddr></tds:Service>"
        )
    };
    let both = service(MEDIA, "http://a/1")
        + &service(MEDIA2, "http://a/2")
        + &service("http://www.onvif.org/ver10/events/wsdl", "http://a/3");
    let found = |media: Option<&str>, media2: Option<&str>| MediaServices {
        media: media.map(str::to_owned),
        media2: media2.map(str::to_owned),
    };
    for (what, told, expected) in [
        ("both", both.as_str(), found(Some("http://a/1"), Some("http://a/2"))),
        ("the second alone", &service(MEDIA2, "http://a/2"), found(None, Some("http://a/2"))),
        (
            "with a slash behind it",
            &service(&format!("{MEDIA}/"), "http://a/1"),
            found(Some("http://a/1"), None),
        ),
        (
            "named twice",
            &(service(MEDIA, "http://a/1") + &service(MEDIA, "http://a/9")),
            found(Some("http://a/1"), None),
        ),
        ("without a place", &service(MEDIA, ""), found(None, None)),
        ("none", "", found(None, None)),
    ] {
        let body = format!("<tds:GetServicesResponse>{told}</tds:GetServicesResponse>");
        assert_eq!(services(&usual(&body)), expected, "{what}");
    }
    let old = "<GetCapabilitiesResponse><Capabilities><Analytics><XAddr>http://a/9</XAddr></Analytics><Media><XAddr>http://a/1</XAddr></Media></Capabilities></GetCapabilitiesResponse>";
    assert_eq!(capabilities(&bare(old)), found(Some("http://a/1"), None));
}

#[test]
fn profiles_of_both_media_services_are_read() {
    let settings = |codec: &str,
                    size: Option<(u32, u32)>,
                    rate: Option<f64>,
                    gop: Option<u32>,
                    bitrate: Option<u32>,
                    profile: Option<&str>| VideoSettings {
        codec: codec.to_owned(),
        size,
        frames_per_sec: rate,
        gop_frames: gop,
        bitrate_kbps: bitrate,
        codec_profile: profile.map(str::to_owned),
    };
    // Axis: one profile with sound and metadata, and rates with fractions.
    let axis = r#"<trt:Profiles token="profile_1_h264" fixed="true"><tt:Name>profile_1 h264</tt:Name><tt:VideoSourceConfiguration token="0"><tt:Name>n</tt:Name><tt:SourceToken>0</tt:SourceToken></tt:VideoSourceConfiguration><tt:VideoEncoderConfiguration token="default_1_h264"><tt:Name>n</tt:Name><tt:Encoding>H264</tt:Encoding><tt:Resolution><tt:Width>1920</tt:Width><tt:Height>1080</tt:Height></tt:Resolution><tt:RateControl><tt:FrameRateLimit>29.97</tt:FrameRateLimit><tt:BitrateLimit>2147483647</tt:BitrateLimit></tt:RateControl><tt:H264><tt:GovLength>32</tt:GovLength><tt:H264Profile>High</tt:H264Profile></tt:H264></tt:VideoEncoderConfiguration></trt:Profiles>"#;
    // A camera with Media2: attributes, and a codec by its other name.
    let second = r#"<tr2:Profiles token="P0" fixed="false"><tr2:Name>main</tr2:Name><tr2:Configurations><tr2:VideoSource token="v"><tt:SourceToken>VS0</tt:SourceToken></tr2:VideoSource><tr2:VideoEncoder token="e" GovLength="50" Profile="Main"><tt:Encoding>H.265</tt:Encoding><tt:Resolution><tt:Width>3840</tt:Width><tt:Height>2160</tt:Height></tt:Resolution><tt:RateControl ConstantBitRate="true"><tt:FrameRateLimit>20</tt:FrameRateLimit><tt:BitrateLimit>6144</tt:BitrateLimit></tt:RateControl></tr2:VideoEncoder></tr2:Configurations></tr2:Profiles>"#;
    let jpeg = r#"<trt:Profiles token="j"><tt:Name>JPEG</tt:Name><tt:VideoSourceConfiguration><tt:SourceToken>0</tt:SourceToken></tt:VideoSourceConfiguration><tt:VideoEncoderConfiguration><tt:Encoding>JPEG</tt:Encoding><tt:Resolution><tt:Width>640</tt:Width><tt:Height>480</tt:Height></tt:Resolution></tt:VideoEncoderConfiguration></trt:Profiles>"#;
    let nonsense = r#"<trt:Profiles token="n"><tt:VideoSourceConfiguration/><tt:VideoEncoderConfiguration><tt:Encoding>h264</tt:Encoding><tt:Resolution><tt:Width>-5</tt:Width><tt:Height>NaN</tt:Height></tt:Resolution><tt:RateControl><tt:FrameRateLimit>inf</tt:FrameRateLimit><tt:BitrateLimit>1e99</tt:BitrateLimit></tt:RateControl><tt:H264><tt:GovLength>0</tt:GovLength></tt:H264></tt:VideoEncoderConfiguration></trt:Profiles>"#;
    let sound =
        r#"<trt:Profiles token="a"><tt:Name>audio</tt:Name><tt:AudioEncoderConfiguration/></trt:Profiles>"#;
    let no_token = axis.replace("token=\"profile_1_h264\"", "");
    let long_token = axis.replace("profile_1_h264", &"t".repeat(500));
    for (what, told, expected) in [
        (
            "axis",
            axis,
            Some((
                "profile_1_h264",
                "0",
                settings(
                    "H264",
                    Some((1920, 1080)),
                    Some(29.97),
                    Some(32),
                    Some(2_147_483_647),
                    Some("High"),
                ),
            )),
        ),
        (
            "media2",
            second,
            Some((
                "P0",
                "VS0",
                settings("H265", Some((3840, 2160)), Some(20.0), Some(50), Some(6144), Some("Main")),
            )),
        ),
        ("jpeg", jpeg, Some(("j", "0", settings("JPEG", Some((640, 480)), None, None, None, None)))),
        ("nonsense", nonsense, Some(("n", "", settings("H264", None, None, None, Some(u32::MAX), None)))),
        ("sound", sound, None),
        ("without a token", &no_token, None),
        ("with a long token", &long_token, None),
    ] {
        let response = if what == "media2" { "tr2" } else { "trt" };
        let read = profiles(&usual(&format!(
            "<{response}:GetProfilesResponse>{told}</{response}:GetProfilesResponse>"
        )));
        let read = read
            .into_iter()
            .next()
            .map(|profile| (profile.token, profile.video_source, profile.video.unwrap()));
        let expected = expected.map(|(token, source, video)| (token.to_owned(), source.to_owned(), video));
        assert_eq!(read, expected, "{what}");
    }
    let many = usual(&format!("<trt:GetProfilesResponse>{}</trt:GetProfilesResponse>", jpeg.repeat(500)));
    assert_eq!(profiles(&many).len(), MOST_PROFILES);
}

#[test]
fn the_second_media_service_knows_h265_where_the_first_says_h264() {
    let profile = |token: &str, codec: Option<&str>| ToldProfile {
        token: token.to_owned(),
        name: token.to_owned(),
        video_source: String::new(),
        video: codec.map(|codec| VideoSettings { codec: codec.to_owned(), ..VideoSettings::default() }),
    };
    let first = || vec![profile("main", Some("H264")), profile("sub", Some("H264")), profile("third", None)];
    let codecs = |second: &[ToldProfile]| {
        let corrected = corrected(first(), second).into_iter();
        corrected.map(|profile| profile.video.map(|video| video.codec)).collect::<Vec<_>>()
    };
    let text = |codec: &str| Some(codec.to_owned());
    assert_eq!(codecs(&[]), [text("H264"), text("H264"), None]);
    let second = [
        profile("third", Some("H265")),
        profile("main", Some("H265")),
        profile("sub", None),
        profile("more", Some("H265")),
    ];
    assert_eq!(codecs(&second), [text("H265"), text("H264"), text("H265")]);
}

#[test]
fn addresses_are_read_from_both_media_services() {
    for (what, envelope, expected) in [
        (
            "media",
            usual(
                "<trt:GetStreamUriResponse><trt:MediaUri><tt:Uri>rtsp://a/b?c&amp;d</tt:Uri></trt:MediaUri></trt:GetStreamUriResponse>",
            ),
            Some("rtsp://a/b?c&d"),
        ),
        (
            "media2",
            usual("<tr2:GetStreamUriResponse><tr2:Uri>rtsp://a/b</tr2:Uri></tr2:GetStreamUriResponse>"),
            Some("rtsp://a/b"),
        ),
        (
            "a picture",
            usual(
                "<trt:GetSnapshotUriResponse><trt:MediaUri><tt:Uri>http://a/b</tt:Uri></trt:MediaUri></trt:GetSnapshotUriResponse>",
            ),
            Some("http://a/b"),
        ),
        (
            "bare",
            bare(
                "<GetStreamUriResponse><MediaUri><Uri> rtsp://a/b&c </Uri></MediaUri></GetStreamUriResponse>",
            ),
            Some("rtsp://a/b&c"),
        ),
        (
            "empty",
            usual(
                "<trt:GetStreamUriResponse><trt:MediaUri><tt:Uri/></trt:MediaUri></trt:GetStreamUriResponse>",
            ),
            None,
        ),
        ("another answer", usual("<trt:GetProfilesResponse/>"), None),
        (
            "a maker's own",
            usual(
                r#"<trt:GetStreamUriResponse><trt:MediaUri><x:Uri xmlns:x="urn:x">rtsp://x/</x:Uri></trt:MediaUri></trt:GetStreamUriResponse>"#,
            ),
            None,
        ),
    ] {
        assert_eq!(uri(&envelope).as_deref(), expected, "{what}");
    }
}

#[test]
fn makers_name_themselves_in_one_line() {
    let told = "<tds:GetDeviceInformationResponse><tds:Manufacturer> HIK\nVISION </tds:Manufacturer><tds:Model>\u{200b}DS</tds:Model><tds:SerialNumber/></tds:GetDeviceInformationResponse>";
    let read = information(&usual(told));
    assert_eq!(read.manufacturer.as_deref(), Some("HIK VISION"));
    assert_eq!((read.firmware, read.serial), (None, None));
    let long = format!(
        "<GetDeviceInformationResponse><Model>{}</Model></GetDeviceInformationResponse>",
        "m".repeat(5000)
    );
    assert_eq!(information(&bare(&long)).model.unwrap().len(), 200);
}
