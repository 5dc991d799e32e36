//! Each role with a login that can do nothing but that role: the whole works, and an edge can write nothing.

use std::borrow::Cow;
use std::process::Command;
use std::str::FromStr;

use sqlx::postgres::PgConnectOptions;
use sqlx::{Connection, Executor, PgConnection};

use crate::happy::assert_same_as_stored;
use crate::support::{Api, App, address};

/// As docker-compose has it done.
fn create_logins(app: &App, password: &str) {
    let mut script = Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../deploy/postgres-logins.sh"));
    for login in ["WORKER_DB_PASSWORD", "PROJECTOR_DB_PASSWORD", "EDGE_DB_PASSWORD"] {
        script.env(login, password);
    }
    let owner = PgConnectOptions::from_str(&app.postgres.url()).unwrap();
    script.env("POSTGRES_USER", owner.get_username()).env("POSTGRES_DB", owner.get_database().unwrap());
    script.env("PGHOST", "127.0.0.1").env("PGPORT", app.postgres.port().to_string());
    script.env("PGPASSWORD", password_of(&app.postgres.url()));
    let output = script.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

fn password_of(url: &str) -> &str {
    url.split('@').next().unwrap().rsplit(':').next().unwrap()
}

#[tokio::test]
async fn an_edge_without_a_url_of_its_own_works_and_warns() {
    let app = App::new().await;
    let _processes = (app.worker("commands,reply").await, app.projector().await);
    let mut process = app.start_with(&["api"], app.folder(), &[("NATS_EDGE_URL", "")]);
    let api = Api { address: address(&mut process).await, process };
    let mut ann = app.client(&api, "ann").await;
    let id = ann.start().await;
    ann.follow(&id).await;
    let reply = ann.submit(&id, "say 5 words").await;
    assert_eq!(ann.end_of(&id, &reply).await["type"], "ReplyCompleted");
    assert!(api.process.log().contains("NATS_EDGE_URL is not set"), "{}", api.process.log());
    let careful = app.api().await;
    assert!(!careful.process.log().contains("NATS_EDGE_URL"), "{}", careful.process.log());
}

#[tokio::test]
async fn every_role_works_with_its_own_rights_and_an_edge_can_write_nothing() {
    let app = App::new().await;
    let mut urls = Vec::new();
    for password in ["earlier", "it's only"] {
        create_logins(&app, password);
    }
    for role in ["worker", "projector", "edge"] {
        let (login, port) = (format!("bestchat_{role}_login"), app.postgres.port());
        urls.push(format!("postgres://{login}:it%27s%20only@127.0.0.1:{port}/bestchat"));
    }
    let _processes = (app.process_as(&urls[0], &["worker"]).await, app.process_as(&urls[1], &["projector"]).await);
    let api = app.api_as(&urls[2]).await;
    app.until_owned("commands", 1).await;
    let mut ann = app.client(&api, "ann").await;
    let id = ann.start().await;
    ann.follow(&id).await;
    let reply = ann.submit(&id, "say 5 words").await;
    assert_eq!(ann.end_of(&id, &reply).await["type"], "ReplyCompleted");
    assert_same_as_stored(&app, &api, &ann, "ann", &id).await;
    api.read("ann", "/api/status").await;

    let tables: Vec<(String, String)> = sqlx::query_as(
        "select format('%I.%I', table_schema, table_name), format('%I', min(column_name)) from information_schema.columns
         join information_schema.tables using (table_schema, table_name)
         where table_type = 'BASE TABLE' and table_schema in ('public', 'account', 'conversation_list', 'transcript', 'usage')
         group by table_schema, table_name",
    )
    .fetch_all(&app.pool)
    .await
    .unwrap();
    assert!(tables.len() >= 15, "{tables:?}");
    let mut edge = PgConnection::connect(&urls[2]).await.unwrap();
    let mut attempts = vec![
        "set role bestchat_worker".to_owned(),
        "set role bestchat_projector".to_owned(),
        "create table mine (n int)".to_owned(),
        "create schema mine".to_owned(),
    ];
    for (table, column) in &tables {
        attempts.push(format!("insert into {table} select * from {table}"));
        attempts.push(format!("update {table} set {column} = {column}"));
        attempts.push(format!("delete from {table}"));
        attempts.push(format!("truncate {table}"));
    }
    for attempt in &attempts {
        let refused = edge.execute(attempt.as_str()).await;
        let code = refused.as_ref().err().and_then(|e| e.as_database_error()?.code().map(Cow::into_owned));
        assert_eq!(code.as_deref(), Some("42501"), "{attempt}: {refused:?}");
    }
    // As the edge's own connections do it.
    let pool = store::connect(&urls[2], store::Role::Edge, 1).unwrap();
    assert!(pool.execute("update shards set shard = shard").await.is_err());
}
