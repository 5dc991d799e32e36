//! What processes log: enough to find a fault by, and nothing that anyone said.

use serde_json::json;

use crate::support::{API_KEY, App, SECRET, token};

/// What no log may hold.
const SAID: &str = "xyzzy-was-said";

#[tokio::test]
async fn no_log_holds_content_however_much_is_logged() {
    let level = "debug,api=trace,app=trace,nats=trace,projections=trace,store=trace,workers=trace";
    let others = "async_nats=info,async_nats::connector=debug,sqlx=info,hyper=info,h2=info";
    let app = App::with(&format!("log = \"{level},{others}\"")).await;
    let (commands, reply) = (app.worker("commands").await, app.worker("reply").await);
    let projector = app.projector().await;
    let api = app.api().await;
    app.until_owned("commands", 1).await;
    let mut ann = app.client(&api, "ann").await;
    let id = ann.start().await;
    ann.follow(&id).await;
    ann.ask(&id, json!({ "type": "RenameConversation", "title": SAID })).await.unwrap();
    ann.ask(&id, json!({ "type": "ConfigureModel", "system_prompt": SAID })).await.unwrap();
    for question in ["say 20", "echo", "cut 5", "broken always", "html"] {
        let reply = ann.submit(&id, &format!("{question} {SAID}")).await;
        ann.end_of(&id, &reply).await;
    }
    // Also what cannot be understood.
    ann.send(&json!({ "type": "command", "id": SAID, "conversation": SAID })).await.unwrap();
    ann.ask(&id, json!({ "type": "RenameConversation", "title": format!("{SAID}\u{7}") })).await.unwrap_err();
    ann.send(&json!({ "type": "auth", "token": format!("{SAID}.{SAID}.{SAID}") })).await.unwrap();
    while ann.read(tokio::time::Instant::now() + std::time::Duration::from_secs(5)).await.unwrap_or(false) {}

    let is_json = |log: &str| log.lines().all(|line| serde_json::from_str::<serde_json::Value>(line).is_ok());
    let failed = app.run(&["dead-letters", "--retry", "reply", "nowhere"]);
    let said = String::from_utf8(failed.stderr).unwrap();
    assert!(!failed.status.success() && said.contains("bestchat ends") && is_json(&said), "{said}");

    let token = token("ann");
    let signature = token.rsplit('.').next().unwrap();
    let (core, edge) = (app.nats.core_url(), app.nats.edge_url());
    let [core, edge] = [&core, &edge].map(|url| url.split(['@', ':']).nth(2).unwrap());
    for process in [&commands, &reply, &projector, &api.process] {
        let log = process.log();
        assert!(is_json(&log), "JSON line by line: {log}");
        assert!(log.contains("attempting connection"), "the bus's client says where it connects to");
        for hidden in [SAID, "naïve", API_KEY, SECRET, signature, "eyJ", core, edge] {
            let line = log.lines().find(|line| line.contains(hidden));
            assert!(line.is_none(), "{hidden} in {line:?}");
        }
    }
    assert!(reply.log().lines().count() > 3, "something is logged");
}
