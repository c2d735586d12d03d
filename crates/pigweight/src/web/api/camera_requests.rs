//! What requests ask of cameras: the address and the password are checked here.

use crate::web::app::App;
use crate::web::auth::caller::Caller;
use crate::web::request::arguments::{Field, Kind, RequestArguments, given};
use crate::web::request::problem::Problem;
use pigweight_live::CameraAddress;
use pigweight_store::CameraPlace;
use serde::Deserialize;
use utoipa::ToSchema;

const MAX_CREDENTIAL_CHARACTERS: usize = 200;

/// A camera to add.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewCamera {
    /// One line of text.
    pub name: String,
    /// Such as `rtsp://192.168.1.20:554/stream1`: `rtsp`, `rtsps` (encrypted), `http` or `https` (an MJPEG stream, or a JPEG picture that is asked for again and
    /// again). `replay:VIDEO?speed=2` replays a video of this server by its identifier, over and over, or once (`once=true`), at 0.25 to 16 times its speed. `usb:/dev/video0` is a camera at the server's machine.
    /// User and password may stand in the others. Behind an encrypted address the fingerprint of the camera's certificate may stand, as `#sha256=…`; where it doesn't, that of
    /// the certificate that the camera shows now is added.
    pub url: String,
    /// Another stream of the same camera, usually a smaller one, which is counted in place of that of `url`: at the same host, and with the same user and
    /// password. Boxes and lines stay in px of the picture that people see. Null: that of `url` is counted.
    #[serde(default)]
    pub counting_url: Option<String>,
    #[serde(default)]
    pub user: Option<String>,
    #[serde(default)]
    pub password: Option<String>,
    /// Whether to connect first, and to refuse a camera that can't be connected; default true.
    #[serde(default = "yes")]
    pub test: bool,
}

fn yes() -> bool {
    true
}

impl RequestArguments for NewCamera {
    const FIELDS: &'static [Field] = &[
        Field::needed("name", Kind::Text),
        Field::needed("url", Kind::Text),
        Field::optional("counting_url", Kind::TextOrNull),
        Field::optional("user", Kind::TextOrNull),
        Field::optional("password", Kind::TextOrNull),
        Field::optional("test", Kind::Truth),
    ];
}

/// Changes to a camera. Leave out what shall stay.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CameraChange {
    #[serde(default)]
    pub name: Option<String>,
    #[serde(default)]
    pub url: Option<String>,
    /// Null: the stream of `url` is counted.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>)]
    pub counting_url: Option<Option<String>>,
    /// Null: none.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>)]
    pub user: Option<Option<String>>,
    /// Null: none.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>)]
    pub password: Option<Option<String>>,
    /// What is kept of it: `all`, `marked` or `off`. Null: as configured.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>)]
    pub recording_mode: Option<Option<String>>,
}

impl RequestArguments for CameraChange {
    const READ_ONLY: &'static [&'static str] = &[
        "id",
        "video",
        "has_password",
        "certificate",
        "state",
        "since",
        "retry_at",
        "reason",
        "stream",
        "measured",
        "advice",
        "counting_stream",
        "count",
        "delivered",
        "recording",
        "created_at",
    ];
    const FIELDS: &'static [Field] = &[
        Field::optional("name", Kind::TextOrNull),
        Field::optional("url", Kind::TextOrNull),
        Field::optional("counting_url", Kind::TextOrNull),
        Field::optional("user", Kind::TextOrNull),
        Field::optional("password", Kind::TextOrNull),
        Field::optional("recording_mode", Kind::TextOrNull),
    ];
}

/// A video is replayed only by those who may see it; and what isn't reached over the network has no password.
pub async fn check_local(caller: &Caller, app: &App, place: &CameraPlace) -> Result<(), Problem> {
    let Ok(address) = CameraAddress::parse(&place.url) else { return Ok(()) };
    let replay = address.replay();
    if let Some(replay) = &replay {
        caller.video(app, &replay.video).await?;
    }
    if (replay.is_some() || address.device().is_some()) && place.user_name.is_some() {
        return Err(Problem::bad_request(
            "a replayed video and a camera at this machine have neither user nor password; leave them out",
        ));
    }
    Ok(())
}

/// A user or a password is one line.
pub fn check_credentials<'a>(texts: impl IntoIterator<Item = &'a String>) -> Result<(), Problem> {
    for text in texts {
        if text.chars().count() > MAX_CREDENTIAL_CHARACTERS || text.chars().any(char::is_control) {
            return Err(Problem::bad_request(format!(
                "user and password are lines of text of at most {MAX_CREDENTIAL_CHARACTERS} characters"
            )));
        }
    }
    Ok(())
}

/// Checks an address, and takes user and password out of it.
pub fn checked_place(place: &CameraPlace) -> Result<CameraPlace, Problem> {
    check_credentials([&place.user_name, &place.password].into_iter().flatten())?;
    let address =
        CameraAddress::parse(&place.url).map_err(|error| Problem::bad_request(error.to_string()))?;
    let own = address.credentials();
    let own_user = own.map(|own| own.user.clone());
    let own_password = own.filter(|own| !own.password.is_empty()).map(|own| own.password.clone());
    let user_name = place.user_name.clone().or(own_user);
    let password = match &place.password {
        Some(password) => Some(password.clone()),
        // The password of another user is none of this one's.
        None => own_password.filter(|_| place.user_name.is_none()),
    };
    if user_name.is_none() && password.is_some() {
        return Err(Problem::bad_request("a password without a user can't be used; name the user too"));
    }
    let counting_url = place.counting_url.as_deref().map(|url| counting_url(url, &address)).transpose()?;
    Ok(CameraPlace { url: address.url().to_string(), counting_url, user_name, password })
}

/// Checks the address of the stream that is counted. The user and the password of the other one are sent there.
fn counting_url(url: &str, shown: &CameraAddress) -> Result<String, Problem> {
    let address =
        CameraAddress::parse(url).map_err(|error| Problem::bad_request(format!("counting_url: {error}")))?;
    if address.credentials().is_some() {
        return Err(Problem::bad_request(
            "counting_url takes the user and the password of url; leave them out of it",
        ));
    }
    if address.replay().is_some()
        || address.device().is_some()
        || shown.replay().is_some()
        || shown.device().is_some()
    {
        return Err(Problem::bad_request(
            "counting_url is another stream of a camera in the network; leave it out for a replayed video or a camera at this machine",
        ));
    }
    // The password is sent there, also where only this address is changed.
    if !address.is_same_host(shown) {
        return Err(Problem::bad_request(
            "counting_url is another stream of the same camera: name the same host and port as in url",
        ));
    }
    if shown.scheme().is_encrypted() && !address.scheme().is_encrypted() {
        return Err(Problem::bad_request(
            "url is encrypted and counting_url is not: the password would be sent in the clear",
        ));
    }
    Ok(address.url().to_string())
}
