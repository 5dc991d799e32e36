//! A connection to NATS that comes back by itself.

use std::time::Duration;

use async_nats::{Client, ConnectOptions, Event, ServerAddr};

use crate::{Error, metrics};

/// The longest pause before the next attempt to connect.
const MAX_RECONNECT_PAUSE: Duration = Duration::from_secs(2);
/// How often the server is pinged. A connection on which two pings stay unanswered is given up, so that a process that
/// is cut off notices within some seconds.
const PING_EVERY: Duration = Duration::from_secs(2);
/// How long closing may take.
pub const CLOSE_DEADLINE: Duration = Duration::from_secs(2);

/// Under which prefix a connection receives its answers; an account's permissions name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Inbox {
    /// Inside CORE.
    Core,
    /// An edge's.
    Edge,
}

impl Inbox {
    fn prefix(self) -> &'static str {
        match self {
            Self::Core => "_INBOX",
            Self::Edge => "_INBOX_edge",
        }
    }
}

/// Connects, with the user and password that the URL may hold. Fails if the server cannot be reached now; once connected,
/// it reconnects for ever.
///
/// # Errors
/// When the URL is none or the server does not let us in.
pub async fn connect(url: &str, name: &str, inbox: Inbox) -> Result<Client, Error> {
    let address: ServerAddr = url.parse().map_err(Error::from_any)?;
    // The client itself passes over what the URL says of the user, but would log it.
    let options = match (address.username(), address.password()) {
        (Some(user), Some(password)) => ConnectOptions::with_user_and_password(user.to_owned(), password.to_owned()),
        _ => ConnectOptions::new(),
    };
    options
        .name(name)
        .custom_inbox_prefix(inbox.prefix())
        .ping_interval(PING_EVERY)
        .reconnect_delay_callback(pause)
        .event_callback(|event| async move { log(&event) })
        .connect(without_login(address)?)
        .await
        .map_err(Error::from_any)
}

fn without_login(address: ServerAddr) -> Result<ServerAddr, Error> {
    let mut url = address.into_inner();
    let removed = url.set_password(None).and_then(|()| url.set_username(""));
    removed.map_err(|()| Error("the URL of a server names none".to_owned()))?;
    ServerAddr::from_url(url).map_err(Error::from_any)
}

/// Sends what is still to be sent and closes, within a deadline.
pub async fn close(client: &Client) {
    let closing = async {
        // Draining returns before it is done; the flush is what waits.
        let _ = client.flush().await;
        let _ = client.drain().await;
    };
    let _ = tokio::time::timeout(CLOSE_DEADLINE, closing).await;
}

/// Doubling pauses with full jitter, so that many clients do not come back at once.
fn pause(attempts: usize) -> Duration {
    let doublings = u32::try_from(attempts.min(10)).unwrap_or(10);
    let most = Duration::from_millis(20).saturating_mul(1 << doublings).min(MAX_RECONNECT_PAUSE);
    most.mul_f64(chance())
}

/// A number from 0 to 1, different each time.
fn chance() -> f64 {
    let bytes = uuid::Uuid::new_v4().into_bytes();
    f64::from(u16::from_be_bytes([bytes[0], bytes[1]])) / f64::from(u16::MAX)
}

fn log(event: &Event) {
    match event {
        Event::SlowConsumer(subscription) => {
            metrics::slow_consumer();
            tracing::warn!(subscription, "messages were dropped: a subscription is read too slowly");
        }
        Event::ServerError(error) => tracing::error!(%error, "the NATS server complains"),
        Event::ClientError(error) => tracing::warn!(%error, "NATS client error"),
        Event::Connected => {
            metrics::connected();
            tracing::info!("connected to NATS");
        }
        Event::Disconnected => {
            metrics::disconnected();
            tracing::warn!("disconnected from NATS");
        }
        Event::LameDuckMode | Event::Draining | Event::Closed => tracing::info!(%event, "NATS connection"),
    }
}

/// Whether the connection stands at this moment.
pub fn is_connected(client: &Client) -> bool {
    client.connection_state() == async_nats::connection::State::Connected
}
