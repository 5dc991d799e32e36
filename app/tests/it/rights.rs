//! Each role with a login that can do nothing but that role: the whole works, and an edge can write nothing.

use std::borrow::Cow;

use sqlx::{Connection, Executor, PgConnection};

use crate::happy::assert_same_as_stored;
use crate::support::App;

#[tokio::test]
async fn every_role_works_with_its_own_rights_and_an_edge_can_write_nothing() {
    let app = App::new().await;
    let mut urls = Vec::new();
    for role in ["worker", "projector", "edge"] {
        let sql = format!("create role only_{role} login password 'only' in role bestchat_{role}");
        app.pool.execute(sql.as_str()).await.unwrap();
        urls.push(format!("postgres://only_{role}:only@127.0.0.1:{}/bestchat", app.postgres.port()));
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
         where table_schema in ('public', 'conversation_list', 'transcript') group by table_schema, table_name",
    )
    .fetch_all(&app.pool)
    .await
    .unwrap();
    assert!(tables.len() >= 11, "{tables:?}");
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
    assert!(pool.execute("update shards set head = 0").await.is_err());
}
