//! Connections to the broker, and why one failed.

use crate::config::notifications::{BrokerAddress, MqttConfig, Secret};
use crate::notifications::mqtt::pictures;
use crate::notifications::mqtt::topics::Topics;
use crate::notifications::tls;
use pigweight_store::Reason;
use rumqttc::{AsyncClient, ConnectReturnCode, ConnectionError, EventLoop, LastWill, MqttOptions, QoS};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::ServerName;

const KEEP_ALIVE_SECS: u16 = 20;
/// Messages that wait for the connection; who publishes more waits.
const QUEUE: usize = 16;
/// Messages from the broker: Home Assistant's are a word.
const MOST_INCOMING_BYTES: usize = 64 * 1024;
/// A topic, and what MQTT adds.
const MOST_HEAD_BYTES: usize = 64 * 1024;
/// Failures that a person has to mend are tried this often: brokers lock out who tries wrong passwords too often.
pub const REFUSED_INTERVAL: Duration = Duration::from_secs(60);

/// What a connection is made with.
pub struct Connector {
    address: BrokerAddress,
    login: Option<(String, Option<Secret>)>,
    tls: Option<TlsConnector>,
    client_id: String,
    will_topic: String,
}

impl Connector {
    /// Connects to nothing yet. `None`: MQTT is off.
    ///
    /// # Errors
    /// If the password or certificates can't be read.
    pub fn new(config: &MqttConfig, topics: &Topics) -> anyhow::Result<Option<Self>> {
        let Some(address) = config.address()? else { return Ok(None) };
        let password = config.read_password()?;
        let tls = match address.is_encrypted {
            true => Some(tls::connector(config.ca_file.as_deref())?),
            false => None,
        };
        // Of 23 letters and digits at most, which every broker takes; a broker ends an earlier client of the same name.
        let random = ulid::Ulid::generate().to_string().to_lowercase();
        let client_id = format!("pigweight{}", &random[random.len() - 14..]);
        let login = config.user_name.clone().map(|user| (user, password));
        Ok(Some(Self { address, login, tls, client_id, will_topic: topics.status() }))
    }

    /// For people.
    pub fn name(&self) -> String {
        format!("{}://{}", if self.tls.is_some() { "mqtts" } else { "mqtt" }, self.address)
    }

    /// A new session: nothing of an earlier one is sent again.
    pub fn session(&self) -> (AsyncClient, EventLoop) {
        let mut options =
            MqttOptions::new(self.client_id.clone(), (self.address.host.clone(), self.address.port));
        options.set_keep_alive(KEEP_ALIVE_SECS);
        options.set_clean_session(true);
        options.set_max_packet_size(MOST_INCOMING_BYTES, pictures::MOST_BYTES + MOST_HEAD_BYTES);
        options.set_last_will(LastWill::new(self.will_topic.clone(), "offline", QoS::AtLeastOnce, true));
        match &self.login {
            Some((user, Some(password))) => {
                options.set_credentials(user.clone(), password.reveal().as_bytes().to_vec());
            }
            Some((user, None)) => {
                options.set_username(user.clone());
            }
            None => {}
        }
        let address = self.address.clone();
        match self.tls.clone() {
            Some(tls) => options.set_socket_connector(move |_, _| {
                let (tls, address) = (tls.clone(), address.clone());
                async move {
                    let name = ServerName::try_from(address.host.clone()).map_err(std::io::Error::other)?;
                    tls.connect(name, connect(&address).await?).await
                }
            }),
            None => options.set_socket_connector(move |_, _| {
                let address = address.clone();
                async move { connect(&address).await }
            }),
        };
        AsyncClient::builder(options).capacity(QUEUE).build()
    }

    /// Why a connection failed, and whether a person has to mend it.
    pub fn reason(&self, error: &ConnectionError) -> (Reason, bool) {
        let name = self.name();
        match error {
            ConnectionError::ConnectionRefused(
                ConnectReturnCode::BadUserNamePassword | ConnectReturnCode::NotAuthorized,
            ) => {
                let text = format!(
                    "the MQTT broker {name} refuses the user or the password; correct mqtt.user_name and mqtt.password"
                );
                (Reason::new("mqtt_refused", text), true)
            }
            ConnectionError::ConnectionRefused(code) => {
                let text =
                    format!("the MQTT broker {name} refuses the connection ({code:?}); its log says why");
                (Reason::new("mqtt_refused", text), true)
            }
            ConnectionError::Io(error)
                if error.get_ref().is_some_and(|cause| cause.is::<tokio_rustls::rustls::Error>()) =>
            {
                let text = format!(
                    "the MQTT broker {name} can't be trusted ({error}); name the certificate of its authority in mqtt.ca_file"
                );
                (Reason::new("mqtt_certificate", text), true)
            }
            error => {
                let text = format!(
                    "the MQTT broker {name} can't be reached ({error}); it is tried again by itself, and then gets the latest values"
                );
                (Reason::new("mqtt_away", text), false)
            }
        }
    }
}

async fn connect(address: &BrokerAddress) -> std::io::Result<TcpStream> {
    let stream = TcpStream::connect((address.host.as_str(), address.port)).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}
