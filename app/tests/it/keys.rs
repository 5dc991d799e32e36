//! Keys of people's own providers over separate roles: sealed, nowhere to be seen, put under another key-encryption key.

use std::sync::atomic::{AtomicBool, Ordering};

use domain::account::{self, Account};
use futures::future::join_all;
use serde_json::{Value, json};
use store::sealing::{Owner, Sealing};

use crate::support::{Api, App, address, token, until};

/// What nobody may see.
const KEY: &str = "sk-ann-9876543210-zyxwvu-ABCD";
/// Key-encryption keys: 32 times A, B, C.
pub(crate) const KEK: [&str; 3] = [
    "QUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUE=",
    "QkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkI=",
    "Q0NDQ0NDQ0NDQ0NDQ0NDQ0NDQ0NDQ0NDQ0NDQ0NDQ0M=",
];

impl Api {
    /// What `user`'s request with a body is answered: the status and the body.
    pub(crate) async fn ask(&self, user: &str, method: reqwest::Method, path: &str, body: &Value) -> (u16, Value) {
        let url = format!("http://{}{path}", self.address);
        let request = reqwest::Client::new().request(method, url).bearer_auth(token(user)).json(body);
        let answer = request.send().await.unwrap();
        (answer.status().as_u16(), answer.json().await.unwrap_or(Value::Null))
    }
}

/// The keys of these versions and the current one of them, the last, as variables have them.
fn sealing(versions: &[usize]) -> (String, String) {
    let keys: Vec<String> = versions.iter().map(|version| format!("{version}=\"{}\"", KEK[version - 1])).collect();
    (format!("{{{}}}", keys.join(",")), versions.last().unwrap().to_string())
}

/// Runs `rotate-keys` with these versions, of which the last is the current one: whether it succeeded, and what it said.
async fn rotate(app: &App, versions: &[usize]) -> (bool, String) {
    let (keys, current) = sealing(versions);
    let settings = [("BESTCHAT_SEALING__KEYS", keys.as_str()), ("BESTCHAT_SEALING__CURRENT", current.as_str())];
    // Away from the settings file, whose keys would be there as well.
    let folder = tempfile::tempdir().unwrap();
    let mut process =
        app.start_with(&["rotate-keys"], folder.path(), &[settings.as_slice(), &[("BESTCHAT_CONFIG", "")]].concat());
    until("rotate-keys ends", async || process.exit().is_some()).await;
    (process.exit().unwrap().success(), process.log())
}

/// The version and the ciphertext of Ann's key, as the log has it last.
async fn sealed(app: &App) -> (i64, String) {
    let sql = "select (payload->'key'->>'kek')::bigint, payload->'key'->>'sealed' from events
               where event_type = 'ProviderConfigSaved' order by sequence desc limit 1";
    sqlx::query_as(sql).fetch_one(&app.pool).await.unwrap()
}

#[tokio::test]
async fn a_key_is_sealed_rotated_and_nowhere_to_be_seen() {
    let level = "debug,api=trace,app=trace,nats=trace,projections=trace,store=trace,workers=trace";
    let log = format!("log = \"{level},async_nats=info,sqlx=info,hyper=info,h2=info\"");
    let app = App::with(&format!("sealing.keys = {{ 1 = \"{}\" }}\n{log}", KEK[0])).await;
    let (commands, reply) = (app.worker("commands").await, app.worker("reply").await);
    let projector = app.projector().await;
    let api = app.api().await;
    app.until_owned("commands", 1).await;

    let mine = "/api/providers/configs/mine";
    let config = json!({ "protocol": "openai-chat", "base_url": "https://home.example/v1", "api_key": KEY });
    let (status, saved) = api.ask("ann", reqwest::Method::PUT, mine, &config).await;
    assert_eq!(status, 200, "{saved}");
    let position = saved["position"].as_str().unwrap();
    let listed = api.read("ann", &format!("/api/providers/configs?min_position={position}")).await;
    assert_eq!(listed["configs"][0]["last_four"], "ABCD");
    // It is called with the key, and there is nobody: `probes` tells of others.
    let (status, tried) =
        api.ask("ann", reqwest::Method::POST, &format!("{mine}/test"), &json!({ "model": "m1" })).await;
    assert_eq!((status, &tried["ok"]), (200, &json!(false)), "{tried}");
    // Also what is refused.
    api.ask("ann", reqwest::Method::PUT, mine, &json!({ "api_key": KEY, "models": KEY })).await;
    let (version, ciphertext) = sealed(&app).await;
    assert_eq!(version, 1);

    assert!(!rotate(&app, &[2, 3]).await.0, "the old version is needed");
    let (succeeded, said) = rotate(&app, &[2]).await;
    assert!(!succeeded && said.contains("mine of account") && said.contains("version 1 of the"), "{said}");
    let (succeeded, said) = rotate(&app, &[1, 2]).await;
    assert!(succeeded && said.contains("1 keys of 1 accounts are under version 2, 1 of them newly"), "{said}");
    let (succeeded, said) = rotate(&app, &[2]).await;
    assert!(succeeded && said.contains("1 keys of 1 accounts are under version 2, 0 of them newly"), "{said}");
    // It wrote beside the shard's owner; everyone hears of it all the same.
    let sql = "select kek from account.provider_configs";
    let heard = async || sqlx::query_scalar::<_, i64>(sql).fetch_one(&app.pool).await.is_ok_and(|kek| kek == 2);
    until("the view knows the new version", heard).await;
    let config =
        json!({ "protocol": "openai-chat", "base_url": "https://home.example/v1", "models": [{ "id": "m1" }] });
    assert_eq!(api.ask("ann", reqwest::Method::PUT, mine, &config).await.0, 200);
    assert_eq!(sealed(&app).await, (2, ciphertext), "only the wrap has changed");

    let settings = app.prints(&["config"]);
    assert!(settings.contains("sealing.keys.1 = (hidden)"), "{settings}");
    for text in [commands.log(), reply.log(), projector.log(), api.process.log(), settings, listed.to_string(), said] {
        for hidden in [KEY, "9876543210", KEK[0], KEK[1]] {
            let line = text.lines().find(|line| line.contains(hidden));
            assert!(line.is_none(), "{hidden} in {line:?}");
        }
    }
}

/// How many people save keys while these are rotated.
const PEOPLE: usize = 6;

/// Every person's key as the log has it last: under the current version, and the one that they saved last.
async fn assert_rotated(app: &App, saved: &[(String, String)]) {
    let sealing = Sealing::new([(2, KEK[1])], 2).unwrap();
    let mut found = Vec::new();
    for id in &store::log::aggregates(&app.pool, account::TYPE, "", 100).await.unwrap() {
        let account: Account = store::state(&app.pool, id).await.unwrap();
        let (tenant, user) = account.owner().unwrap();
        for (provider, config) in account.providers() {
            let key = config.key.as_ref().unwrap();
            let opened = sealing.open(Owner { tenant, user, provider }, key).unwrap();
            found.push((user.to_string(), opened.expose().to_owned()));
        }
    }
    found.sort();
    assert_eq!(found, saved);
}

#[tokio::test]
async fn keys_that_are_saved_while_keys_are_rotated_end_under_the_new_version() {
    let app = App::with(&format!("sealing.keys = {{ 1 = \"{}\" }}", KEK[0])).await;
    let _worker = app.worker("commands").await;
    app.until_owned("commands", 1).await;
    // As in the middle of a rolling restart: one edge seals under the old version, the other under the new one.
    let old = app.api().await;
    let (keys, current) = sealing(&[1, 2]);
    let settings = [("BESTCHAT_SEALING__KEYS", keys.as_str()), ("BESTCHAT_SEALING__CURRENT", current.as_str())];
    let mut process = app.start_with(&["api"], app.folder(), &settings);
    let new = Api { address: address(&mut process).await, process };

    let (mine, rotated) = ("/api/providers/configs/mine", AtomicBool::new(false));
    let people = (0..PEOPLE).map(async |nth: usize| {
        let (user, mut last) = (format!("p{nth}"), String::new());
        for (round, edge) in [&old, &new].into_iter().cycle().enumerate() {
            // At least once under each.
            if round >= 2 && rotated.load(Ordering::Relaxed) {
                break;
            }
            last = format!("sk-{user}-{round}-0123456789");
            let config = json!({ "protocol": "openai-chat", "base_url": "https://home.example/v1", "api_key": last });
            until("the key is saved", async || edge.ask(&user, reqwest::Method::PUT, mine, &config).await.0 == 200)
                .await;
        }
        (user, last)
    });
    let rotating = async {
        rotate(&app, &[1, 2]).await;
        rotated.store(true, Ordering::Relaxed);
    };
    let (mut saved, ()) = tokio::join!(join_all(people), rotating);

    // Nobody seals under the old one any more.
    drop(old);
    let (succeeded, said) = rotate(&app, &[1, 2]).await;
    assert!(succeeded && said.contains(&format!("{PEOPLE} keys of {PEOPLE} accounts are under version 2")), "{said}");
    saved.sort();
    assert_rotated(&app, &saved).await;
}

#[tokio::test]
async fn without_key_encryption_keys_no_key_is_taken() {
    let app = App::new().await;
    let _commands = app.worker("commands").await;
    let api = app.api().await;
    let config = |key| json!({ "protocol": "openai-chat", "base_url": "https://home.example/v1", "api_key": key });
    let (status, refused) =
        api.ask("ann", reqwest::Method::PUT, "/api/providers/configs/mine", &config(Some(KEY))).await;
    assert_eq!((status, refused["error"]["code"].as_str()), (501, Some("keys_not_taken")));
    assert_eq!(api.ask("ann", reqwest::Method::PUT, "/api/providers/configs/mine", &config(None)).await.0, 200);
    let rotated = app.run(&["rotate-keys"]);
    assert!(!rotated.status.success());
    assert!(String::from_utf8_lossy(&rotated.stderr).contains("[sealing]"), "{rotated:?}");
}
