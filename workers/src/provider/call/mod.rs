//! A call to a provider, the same for every protocol: connecting, deadlines, framing, bounds, errors without secrets, and
//! hanging up. What is written and what the records of an answer mean is its [`Wire`]'s.

mod clients;
mod credential;
mod endpoint;
mod list;
mod reply;

use std::sync::Arc;

use futures::future::BoxFuture;
use futures::stream::{self, BoxStream};
use futures::{FutureExt, StreamExt};

use super::address::Reach;
use super::catalog::ConfigError;
use super::config::ProviderConfig;
use super::wire::Wire;
use super::{Chunk, Error, Model, Provider, Request};
pub(crate) use clients::Clients;
pub(super) use credential::Credential;
use endpoint::Endpoint;
use reply::Reply;

/// A provider that is called over HTTP.
pub(super) struct Caller {
    endpoint: Arc<Endpoint>,
}

impl Caller {
    /// Needs the process's TLS provider installed.
    ///
    /// # Errors
    /// When the configuration's address is none or leads too far, or the credential holds what no header may.
    pub(super) fn new(
        config: &ProviderConfig,
        wire: Box<dyn Wire>,
        credential: Credential,
        (clients, reach): (&Clients, Reach),
    ) -> Result<Self, ConfigError> {
        let endpoint = Endpoint::new(config, wire, credential, (clients, reach))
            .map_err(|reason| ConfigError::Provider { id: config.id.clone(), reason })?;
        Ok(Self { endpoint: Arc::new(endpoint) })
    }
}

impl Provider for Caller {
    fn stream(&self, request: Request) -> BoxStream<'static, Result<Chunk, Error>> {
        let call = Call::Waiting(Arc::clone(&self.endpoint), Box::new(request));
        stream::unfold(call, Call::step).boxed()
    }

    fn models(&self) -> BoxFuture<'static, Result<Vec<Model>, Error>> {
        let endpoint = Arc::clone(&self.endpoint);
        async move { list::models(&endpoint).await }.boxed()
    }
}

/// A call on its way. Owns the connection, so dropping it hangs up.
enum Call {
    Waiting(Arc<Endpoint>, Box<Request>),
    Reading(Box<Reply>),
    Over,
}

impl Call {
    async fn step(self) -> Option<(Result<Chunk, Error>, Self)> {
        let mut reply = match self {
            Self::Waiting(endpoint, request) => match Reply::open(endpoint, &request).await {
                Ok(reply) => Box::new(reply),
                Err(error) => return Some((Err(error), Self::Over)),
            },
            Self::Reading(reply) => reply,
            Self::Over => return None,
        };
        match reply.next().await {
            Ok(end @ Chunk::Finished { .. }) => {
                reply.release();
                Some((Ok(end), Self::Over))
            }
            Ok(piece) => Some((Ok(piece), Self::Reading(reply))),
            Err(error) => Some((Err(error), Self::Over)),
        }
    }
}
