//! What people have set for themselves, as the view has it.

use domain::account::{Auth, Event, Limits, Model, Price, SealedKey};
use domain::{AccountId, ProviderId};
use projections::{DefaultView, account, rebuild};
use sqlx::PgPool;

use crate::log::{append, caught_up, migrated};
use crate::projecting::project;
use crate::story::{id, story};
use crate::wait::until;
use nats::test_server::Server;

fn provider(name: &str) -> ProviderId {
    name.parse().unwrap()
}

fn model() -> Model {
    let price = Price { input: 100, output: 500, ..Price::default() };
    Model { id: "m1".to_owned(), context_window: Some(8_000), price: Some(price), ..Model::default() }
}

fn auth() -> Auth {
    Auth::Header("x-mine".to_owned())
}

fn saved(name: &str, key: Option<SealedKey>) -> Event {
    let (protocol, base_url) = (Some("openai-chat".to_owned()), Some("https://home.example/v1".to_owned()));
    let models = vec![model()];
    let (provider, auth, max_tokens) = (provider(name), key.is_some().then(auth), key.is_some());
    Event::ProviderConfigSaved { provider, protocol, base_url, models, key, auth, max_tokens }
}

fn key() -> SealedKey {
    SealedKey { kek: 1, wrapped: "d3JhcA".to_owned(), sealed: "c2VhbGVk".to_owned(), last_four: "QRST".to_owned() }
}

/// One of each event, and more than one of some.
fn events() -> Vec<Event> {
    let limits = Limits { tokens_per_day: Some(7), concurrent_replies: Some(2), ..Limits::default() };
    vec![
        Event::AccountOpened { tenant: "acme".parse().unwrap(), user: "ann".parse().unwrap() },
        saved("mine", Some(key())),
        saved("gone", Some(key())),
        Event::LimitsSet { limits },
        Event::DefaultProviderSet { provider: Some(provider("gone")), model: None },
        Event::ProviderConfigRemoved { provider: provider("gone") },
        Event::DefaultProviderSet { provider: Some(provider("mine")), model: Some("m1".to_owned()) },
        saved("other", None),
        Event::KeyRewrapped { provider: provider("mine"), kek: 2, wrapped: "bmV3".to_owned() },
    ]
}

async fn append_to_account(owner: &PgPool, account: AccountId, sequence: usize, event: &Event) {
    let sql = "insert into events (aggregate_type, aggregate_id, sequence, event_type, event_version, payload, metadata, tenant)
               values ('account', $1, $2, $3, '1.0', $4, '{}', 'acme')";
    let (sequence, payload) = (i64::try_from(sequence).unwrap(), serde_json::to_value(event).unwrap());
    let row = sqlx::query(sql).bind(account.to_string()).bind(sequence).bind(event.name()).bind(payload);
    row.execute(owner).await.unwrap();
}

async fn dump(pool: &PgPool) -> String {
    let mut all = String::new();
    for table in ["account.accounts", "account.provider_configs"] {
        let sql = format!("select coalesce(string_agg(t::text, e'\\n' order by t::text), '') from {table} t");
        all += &sqlx::query_scalar::<_, String>(&sql).fetch_one(pool).await.unwrap();
        all.push('\n');
    }
    all
}

#[sqlx::test(migrator = "store::MIGRATOR")]
async fn an_account_is_the_fold_of_its_events_and_holds_no_key(owner: PgPool) {
    let (pool, server) = (migrated(&owner, 1).await, Server::start().await);
    let account = AccountId::of(&"acme".parse().unwrap(), &"ann".parse().unwrap());
    let _projector = project(&pool, &server).await;
    // Among the events of conversations, some taken in one by one and some many at a time.
    for (nth, event) in events().iter().enumerate() {
        append_to_account(&owner, account, nth + 1, event).await;
        append(&owner, id(1), nth as u64 + 1, &story(100)[nth]).await;
        if nth % 3 == 0 {
            until("it is taken in", async || caught_up(&pool).await).await;
        }
    }
    until("all is taken in", async || caught_up(&pool).await).await;
    let configs = account::configs(&pool, account).await.unwrap();
    let named: Vec<(&str, Option<&str>)> =
        configs.iter().map(|config| (config.provider.as_str(), config.last_four.as_deref())).collect();
    assert_eq!(named, [("mine", Some("QRST")), ("other", None)]);
    assert_eq!(
        (&configs[0].models[..], &configs[0].auth, configs[0].max_tokens),
        (&[model()][..], &Some(auth()), Some(true))
    );
    assert_eq!((&configs[1].auth, configs[1].max_tokens), (&None, None));
    let (default, limits) = account::settings(&pool, account).await.unwrap();
    assert_eq!(default, DefaultView { provider: Some(provider("mine")), model: Some("m1".to_owned()) });
    assert_eq!((limits.tokens_per_day, limits.concurrent_replies, limits.tokens_per_month), (Some(7), Some(2), None));
    let kek: Option<i64> = sqlx::query_scalar("select kek from account.provider_configs where provider = 'mine'")
        .fetch_one(&pool)
        .await
        .unwrap();
    assert_eq!(kek, Some(2));

    let live = dump(&pool).await;
    for sealed in ["d3JhcA", "c2VhbGVk", "bmV3"] {
        assert!(!live.contains(sealed), "{live}");
    }
    assert_eq!(rebuild(&owner, account::NAME).await.unwrap(), 2 * events().len() as u64);
    assert_eq!(dump(&pool).await, live, "the view is the fold of the log");
    let nobody = AccountId::of(&"acme".parse().unwrap(), &"nobody".parse().unwrap());
    assert_eq!(account::settings(&pool, nobody).await.unwrap(), (DefaultView::default(), Limits::default()));
    pool.close().await;
}
