//! Installations to measure: servers of their own, and one process of each role.

use std::time::Duration;

use serde_json::Value;
use tokio::time::{Instant, sleep};

use crate::fleet::{Api, Fleet, MODEL, Options};
use crate::measure::cpu;
use crate::process::Process;
use crate::{Error, login};

/// Where no provider is; for rows in which no model is asked.
pub(super) const NO_PROVIDER: &str = "http://127.0.0.1:9/v1";
/// How many shards rows have whose figure does not depend on that; as many as `bestchat up`.
pub(super) const SHARDS: u16 = 4;
/// How long an installation may take to get ready: to own its shards and to catch up with a long log.
const READY_DEADLINE: Duration = Duration::from_mins(5);
/// The pause between two looks.
const POLL: Duration = Duration::from_millis(50);

/// Servers with an empty database; commits are flushed to the disk.
pub(super) async fn servers(shards: u16, provider: &str, settings: &str) -> Result<Fleet, Error> {
    let (provider, settings) = (provider.to_owned(), settings.to_owned());
    Fleet::start(Options { shards, provider, durable: true, model: MODEL.to_owned(), settings }).await
}

/// Where another database of the same server is.
pub(super) fn database(fleet: &Fleet, name: &str) -> String {
    let url = fleet.postgres.url();
    let server = url.rsplit_once('/').map_or(url.as_str(), |(server, _)| server);
    format!("{server}/{name}")
}

/// Whose processor time [`Stack::cpu_of_each`] gives.
pub(super) const COUNTED: [&str; 5] = ["edge", "worker", "projector", "Postgres", "NATS"];

/// One process of each role.
#[derive(Debug)]
pub(super) struct Stack {
    pub(super) api: Api,
    pub(super) worker: Process,
    pub(super) projector: Process,
}

impl Stack {
    /// Starts them, and waits until every shard is owned and the views have caught up with the log.
    pub(super) async fn start(fleet: &Fleet) -> Result<Self, Error> {
        let worker = fleet.worker("commands,reply").await?;
        let (projector, api) = (fleet.projector().await?, fleet.api().await?);
        let stack = Self { api, worker, projector };
        stack.ready().await?;
        Ok(stack)
    }

    /// Waits until every shard is owned and no view lags.
    pub(super) async fn ready(&self) -> Result<(), Error> {
        let (client, deadline) = (http()?, Instant::now() + READY_DEADLINE);
        let url = format!("http://{}/api/status", self.api.address);
        let token = login::token("status")?;
        while Instant::now() < deadline {
            let answer = client.get(&url).bearer_auth(&token).send().await.map_err(Error::other)?;
            let status: Value = answer.json().await.map_err(Error::other)?;
            let ready = |shard: &Value| shard["owned"] == true && shard["lag"] == 0;
            if status["shards"].as_array().is_some_and(|shards| shards.iter().all(ready)) {
                return Ok(());
            }
            sleep(POLL).await;
        }
        Err(Error("the installation does not get ready".to_owned()))
    }

    /// The processor time of all processes, the servers' among them.
    pub(super) fn cpu(&self, fleet: &Fleet) -> Result<Duration, Error> {
        Ok(self.cpu_of_each(fleet)?.into_iter().sum())
    }

    /// The processor time of each of [`COUNTED`].
    pub(super) fn cpu_of_each(&self, fleet: &Fleet) -> Result<Vec<Duration>, Error> {
        let ours = [self.api.process.pid(), self.worker.pid(), self.projector.pid()];
        ours.into_iter().chain([fleet.postgres.pid(), fleet.nats.pid()]).map(cpu).collect()
    }
}

/// A client of the HTTP interface.
pub(super) fn http() -> Result<reqwest::Client, Error> {
    let builder = reqwest::Client::builder().no_proxy().tls_certs_only([]).timeout(Duration::from_secs(30));
    builder.build().map_err(Error::other)
}
