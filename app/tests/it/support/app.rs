//! An application in separate roles over servers of its own.

use std::path::Path;
use std::process::Output;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use app::local::{Nats, NatsOptions, Postgres, PostgresOptions};
use jsonwebtoken::{EncodingKey, Header, encode};
use serde_json::{Value, json};
use sqlx::PgPool;
use tempfile::TempDir;

use super::{Client, Process, Provider, run, until};

/// How many shards the database has.
pub(crate) const SHARDS: u16 = 4;
/// The tenant of everyone here.
pub(crate) const TENANT: &str = "acme";
/// What tokens are signed with.
pub(crate) const SECRET: &str = "a secret that the tests sign their tokens with";

/// What the provider wants to see.
pub(crate) const API_KEY: &str = "a-key-that-nobody-may-see";

/// A token for `user`, as an application's own login would give it.
pub(crate) fn token(user: &str) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let claims = json!({ "iss": "https://login.test", "aud": "chat", "sub": user, "exp": now + 3600 });
    encode(&Header::default(), &claims, &EncodingKey::from_secret(SECRET.as_bytes())).unwrap()
}

/// Where an edge says that it can be reached, once it is ready.
pub(crate) async fn address(process: &mut Process) -> String {
    let ready: Value = serde_json::from_str(&process.says(r#""message":"ready""#).await).unwrap();
    ready["address"].as_str().unwrap().to_owned()
}

/// Servers, settings and a provider; the processes are the tests' to start and to keep.
pub(crate) struct App {
    pub(crate) postgres: Postgres,
    pub(crate) nats: Nats,
    pub(crate) provider: Provider,
    /// Postgres, as its owner.
    pub(crate) pool: PgPool,
    folder: TempDir,
    started: AtomicU32,
}

/// A running edge.
pub(crate) struct Api {
    pub(crate) process: Process,
    pub(crate) address: String,
}

impl App {
    /// The servers with an empty, migrated database, and no process yet.
    pub(crate) async fn new() -> Self {
        Self::with("").await
    }

    /// The same, with further settings.
    pub(crate) async fn with(settings: &str) -> Self {
        Self::with_tables(settings, |_| String::new()).await
    }

    /// The same, with further tables of settings behind them, made from the provider's address.
    pub(crate) async fn with_tables(settings: &str, tables: impl FnOnce(&str) -> String) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let folder = tempfile::tempdir().unwrap();
        let options = PostgresOptions { durable: false, max_connections: 200, ..PostgresOptions::default() };
        let (postgres, nats) = (folder.path().join("postgres"), folder.path().join("nats"));
        let (postgres, nats) =
            tokio::join!(Postgres::start(&postgres, options), Nats::start(&nats, NatsOptions::default()));
        let (postgres, nats) = (postgres.unwrap(), nats.unwrap());
        let provider = Provider::start().await;
        std::fs::write(
            folder.path().join("bestchat.toml"),
            format!("{settings}\n{}\n{}", self::settings(&provider.base_url), tables(&provider.base_url)),
        )
        .unwrap();
        let pool = PgPool::connect_lazy(&postgres.url()).unwrap();
        let app = Self { postgres, nats, provider, pool, folder, started: AtomicU32::new(0) };
        let migrated = app.run(&["migrate"]);
        assert!(migrated.status.success(), "{}", String::from_utf8_lossy(&migrated.stderr));
        app
    }

    /// Runs a command of the binary to its end.
    pub(crate) fn run(&self, arguments: &[&str]) -> Output {
        run(self.folder(), &self.environment(), arguments)
    }

    /// What a command that must succeed prints.
    pub(crate) fn prints(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    /// An edge at an address, which another may have had before.
    pub(crate) async fn api_at(&self, address: &str) -> Api {
        let listen = ("BESTCHAT_LISTEN".to_owned(), address.to_owned());
        self.api_with(&self.postgres.url(), vec![listen]).await
    }

    pub(crate) async fn api(&self) -> Api {
        self.api_as(&self.postgres.url()).await
    }

    /// An edge that logs in to Postgres as this URL says.
    pub(crate) async fn api_as(&self, url: &str) -> Api {
        self.api_with(url, Vec::new()).await
    }

    async fn api_with(&self, url: &str, settings: Vec<(String, String)>) -> Api {
        let mut process = self.start(url, &["api"], &settings);
        Api { address: address(&mut process).await, process }
    }

    /// A worker in these roles, divided by commas.
    pub(crate) async fn worker(&self, roles: &str) -> Process {
        self.process_as(&self.postgres.url(), &["worker", "--roles", roles]).await
    }

    /// A worker with further settings.
    pub(crate) async fn worker_with(&self, roles: &str, settings: &[(&str, &str)]) -> Process {
        let mut process = self.start_with(&["worker", "--roles", roles], self.folder(), settings);
        process.says(r#""message":"ready""#).await;
        process
    }

    pub(crate) async fn projector(&self) -> Process {
        self.process_as(&self.postgres.url(), &["projector"]).await
    }

    /// A process that logs in to Postgres as this URL says.
    pub(crate) async fn process_as(&self, url: &str, arguments: &[&str]) -> Process {
        let mut process = self.start(url, arguments, &[]);
        process.says(r#""message":"ready""#).await;
        process
    }

    /// Someone who has logged in at an edge.
    pub(crate) async fn client(&self, api: &Api, user: &str) -> Client {
        Client::connect(&api.address, &token(user)).await.unwrap()
    }

    /// Someone who has just asked something, in a conversation of its own: the client, its id and the reply's.
    pub(crate) async fn asking(
        &self,
        api: &Api,
        user: &str,
        model: Option<&str>,
        question: &str,
    ) -> (Client, String, String) {
        let mut client = self.client(api, user).await;
        let (id, reply) = client.ask_anew(model, question).await;
        (client, id, reply)
    }

    /// Returns when every shard has an owner in `role`; gives each owner's share.
    pub(crate) async fn until_owned(&self, role: &str, owners: usize) -> Vec<i64> {
        let sql = "select count(*) from leases where role = $1 and expires_at > now() group by owner order by owner";
        let mut shares: Vec<i64> = Vec::new();
        until(&format!("{owners} {role} own every shard"), async || {
            shares = sqlx::query_scalar(sql).bind(role).fetch_all(&self.pool).await.unwrap_or_default();
            shares.len() == owners && shares.iter().sum::<i64>() == i64::from(SHARDS)
        })
        .await;
        shares
    }

    /// Returns once the worker of this attempt has kept just this of its text for those who join: what an attempt
    /// before it kept may read the same.
    pub(crate) async fn until_kept(&self, conversation: &str, reply: &str, attempt: u32, text: &str) {
        let client = nats::connect(&self.nats.core_url(), "test", nats::Inbox::Core).await.unwrap();
        let jetstream = nats::relay::jetstream(&client);
        let key = nats::live::ReplyKey {
            shard: domain::shard_of(conversation, SHARDS),
            conversation: conversation.parse().unwrap(),
            reply: reply.parse().unwrap(),
        };
        until("the text is kept", async || {
            let kept = nats::live::kept(&jetstream, key).await;
            kept.is_ok_and(|kept| {
                kept.is_some_and(|kept| (kept.whole.attempt, kept.whole.text.as_str()) == (attempt, text))
            })
        })
        .await;
    }

    /// A process with further settings in its environment, which count before the usual ones.
    pub(crate) fn start_with(&self, arguments: &[&str], folder: &Path, settings: &[(&str, &str)]) -> Process {
        let name = format!("{}-{}", arguments[0], self.started.fetch_add(1, Ordering::Relaxed));
        let mut environment = self.environment();
        environment.extend(settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        Process::start(&name, folder, &environment, arguments)
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    fn start(&self, url: &str, arguments: &[&str], settings: &[(String, String)]) -> Process {
        let settings: Vec<(&str, &str)> =
            settings.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        self.start_with(arguments, self.folder(), &[&[("DATABASE_URL", url)], settings.as_slice()].concat())
    }

    /// Writes an event as another program would: the trigger gives it its place, which is returned.
    pub(crate) async fn write_event(&self, conversation: &str, sequence: i64, event: Value) -> String {
        sqlx::query_scalar(
            "insert into events (aggregate_type, aggregate_id, sequence, event_type, event_version, payload, metadata)
             values ($1, $2, $3, $4->>'type', '1.0', $4, '{}') returning shard || ':' || pos",
        )
        .bind(domain::conversation::TYPE)
        .bind(conversation)
        .bind(sequence)
        .bind(event)
        .fetch_one(&self.pool)
        .await
        .unwrap()
    }

    /// Repairs an event, as nothing but a person with the owner's rights can.
    pub(crate) async fn repair_event(&self, conversation: &str, sequence: i64, event: Value) {
        sqlx::query("update events set payload = $1 where aggregate_id = $2 and sequence = $3")
            .bind(event)
            .bind(conversation)
            .bind(sequence)
            .execute(&self.pool)
            .await
            .unwrap();
    }

    /// Returns once each of these consumers has parked the event at a position.
    pub(crate) async fn until_parked(&self, consumers: &[&str], position: &str) {
        until(&format!("{consumers:?} park {position}"), async || {
            let list = self.prints(&["dead-letters"]);
            consumers.iter().all(|consumer| list.contains(&format!("{consumer} {position}")))
        })
        .await;
    }

    /// Where the log ends of a conversation.
    pub(crate) async fn position(&self, conversation: &str) -> String {
        sqlx::query_scalar("select shard || ':' || max(pos) from events where aggregate_id = $1 group by shard")
            .bind(conversation)
            .fetch_one(&self.pool)
            .await
            .unwrap()
    }

    /// What the settings of a process are, beside the file.
    fn environment(&self) -> Vec<(String, String)> {
        let settings = [
            ("DATABASE_URL", self.postgres.url()),
            ("NATS_URL", self.nats.core_url()),
            ("NATS_EDGE_URL", self.nats.edge_url()),
            ("BESTCHAT_CONFIG", self.folder().join("bestchat.toml").display().to_string()),
            ("BESTCHAT_LISTEN", "127.0.0.1:0".to_owned()),
            ("BESTCHAT_SHARDS", SHARDS.to_string()),
            ("BESTCHAT_LOG_FORMAT", "json".to_owned()),
            // The provider fails whenever a test wants it to, and is asked again all the same.
            ("BESTCHAT_CIRCUIT_BREAKERS", "false".to_owned()),
        ];
        // Whoever looks into a failure says more of it with BESTCHAT_LOG.
        let log = std::env::var("BESTCHAT_LOG").ok().map(|log| ("BESTCHAT_LOG".to_owned(), log));
        settings.into_iter().map(|(name, value)| (name.to_owned(), value)).chain(log).collect()
    }
}

/// Nobody was kept from anything that it wanted to do: the rights in nats-server.conf are enough.
impl Drop for App {
    fn drop(&mut self) {
        let log = std::fs::read_to_string(self.folder().join("nats/log")).unwrap_or_default();
        let denied: Vec<&str> = log.lines().filter(|line| line.contains("Violation")).collect();
        assert!(std::thread::panicking() || denied.is_empty(), "{denied:#?}");
    }
}

impl Api {
    /// What a GET of `path` answers `user`: the status and the body.
    pub(crate) async fn get(&self, user: &str, path: &str) -> (u16, Value) {
        let url = format!("http://{}{path}", self.address);
        let answer = reqwest::Client::new().get(url).bearer_auth(token(user)).send().await.unwrap();
        (answer.status().as_u16(), answer.json().await.unwrap_or(Value::Null))
    }

    /// The same, where it must succeed.
    pub(crate) async fn read(&self, user: &str, path: &str) -> Value {
        let (status, body) = self.get(user, path).await;
        assert_eq!(status, 200, "{path}: {body}");
        body
    }
}

fn settings(base_url: &str) -> String {
    format!(
        r#"default_model = "fake/model"

[[providers]]
id = "fake"
protocol = "openai-chat"
base_url = "{base_url}"
api_key = "{API_KEY}"
models = [{{ id = "model" }}]

[[auth.issuers]]
tenant = "{TENANT}"
issuer = "https://login.test"
audience = "chat"
secret = "{SECRET}"
"#
    )
}
