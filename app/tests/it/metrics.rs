//! Figures for Prometheus: what docs/operations.md lists is what processes tell.

use std::collections::BTreeSet;

use crate::support::{App, Process, answer, until};

const LIST: &str = include_str!("../../../docs/operations.md");

pub(crate) async fn figures(address: &str) -> String {
    let answer = reqwest::get(format!("http://{address}/metrics")).await.unwrap();
    assert_eq!(answer.headers()["content-type"], "text/plain; version=0.0.4; charset=utf-8");
    answer.text().await.unwrap()
}

/// The value of the one sample that begins like this.
pub(crate) fn value(figures: &str, sample: &str) -> Option<f64> {
    figures.lines().find_map(|line| line.strip_prefix(sample)?.trim().parse().ok())
}

fn names(figures: &str) -> BTreeSet<String> {
    let of_line = |line: &str| line.strip_prefix("# TYPE ")?.split(' ').next().map(str::to_owned);
    figures.lines().filter_map(of_line).collect()
}

/// Where a process tells its figures.
pub(crate) async fn told_by(process: &mut Process) -> String {
    process.address("metrics are told").await
}

#[tokio::test]
async fn processes_tell_their_figures_and_nothing_of_anyone() {
    let mut app = App::with("metrics_listen = \"127.0.0.1:0\"").await;
    let (mut worker, mut api) = (app.worker("commands,reply").await, app.api().await);
    app.until_owned("commands", 1).await;
    let mut ann = app.client(&api, "ann-of-secrets").await;
    let id = ann.start().await;
    let shard = domain::shard_of(&id, crate::support::SHARDS);
    let behind = |figures: &str| {
        let sample = format!("bestchat_projection_lag_events{{projection=\"transcript\",shard=\"{shard}\"}}");
        value(figures, &sample)
    };
    let worker_tells = told_by(&mut worker).await;
    let lags = async || behind(&figures(&worker_tells).await).is_some_and(|lag| lag > 0.0);
    until("a projection that nobody has begun lags", lags).await;
    let mut projector = app.projector().await;
    let told = [worker_tells, told_by(&mut projector).await, told_by(&mut api.process).await];
    ann.follow(&id).await;
    for question in ["say 20 a-secret-question", "broken always"] {
        let reply = ann.submit(&id, question).await;
        ann.end_of(&id, &reply).await;
    }
    // People choose the names of models; those are content.
    let model = serde_json::json!({ "type": "ConfigureModel", "model": "fake/a-secret-model" });
    ann.ask(&id, model).await.unwrap();
    let reply = ann.submit(&id, "say 3 words").await;
    ann.end_of(&id, &reply).await;

    // Who looks around tries ids, and what there is not.
    for path in [format!("/api/conversations/{id}"), format!("/{id}")] {
        api.get("ann-of-secrets", &path).await;
    }

    let labels = "provider=\"fake\",model=\"model\"";
    let of_worker = [
        format!("bestchat_first_token_seconds_count{{{labels}}} 1"),
        format!("bestchat_reply_duration_seconds_count{{{labels}}} 1"),
        format!("bestchat_provider_errors_total{{{labels},kind=\"overload\"}} 3"),
        "bestchat_reply_attempts_total{provider=\"fake\",model=\"other\",end=\"refused\"} 1".to_owned(),
        "bestchat_reply_ends_total{end=\"completed\"} 1".to_owned(),
        "bestchat_reply_ends_total{end=\"failed\"} 2".to_owned(),
        "bestchat_leases_owned{role=\"commands\"} 4".to_owned(),
        "bestchat_consumer_pending{role=\"reply\",shard=\"0\"} 0".to_owned(),
        "bestchat_relay_lag_events{shard=\"0\"} 0".to_owned(),
        "bestchat_replies_running 0".to_owned(),
    ];
    until("the worker tells", async || {
        let figures = figures(&told[0]).await;
        of_worker.iter().all(|sample| figures.contains(sample.as_str()))
    })
    .await;
    let of_edge = [
        "bestchat_sockets_open 1",
        "bestchat_commands_total{asker=\"person\",outcome=\"accepted\"} 5",
        "bestchat_http_requests_total{route=\"/ws\",status=\"101\"} 1",
        "bestchat_http_request_duration_seconds_count{route=\"/api/conversations/{id}\"} 1",
        "bestchat_http_request_duration_seconds_count{route=\"unmatched\"} 1",
    ];
    until("the edge tells", async || {
        let figures = figures(&told[2]).await;
        of_edge.iter().all(|sample| figures.contains(sample))
            && value(&figures, "bestchat_frames_sent_total").is_some_and(|sent| sent > 10.0)
            && value(&figures, "bestchat_command_duration_seconds_count{asker=\"person\"}") == Some(5.0)
    })
    .await;
    until("the projector tells that it has come to the end", async || behind(&figures(&told[1]).await) == Some(0.0))
        .await;
    projector.signal("STOP");
    ann.ask(&id, serde_json::json!({ "type": "RenameConversation", "title": "unseen" })).await.unwrap();
    until("others tell that it lags", async || behind(&figures(&told[0]).await).is_some_and(|lag| lag > 0.0)).await;
    projector.signal("CONT");

    let mut all = BTreeSet::new();
    for address in &told {
        let figures = figures(address).await;
        for hidden in [id.as_str(), &reply, "ann-of-secrets", "secret", &answer(3), "RenameConversation"] {
            assert!(!figures.contains(hidden), "{hidden} in\n{figures}");
        }
        all.extend(names(&figures));
    }
    for name in &all {
        assert!(LIST.contains(&format!("`{name}`")), "docs/operations.md does not list {name}");
    }
    assert!(all.len() > 25, "{all:?}");

    let owns_nothing = async |address: &str, role: &str| {
        figures(address).await.contains(&format!("bestchat_leases_owned{{role=\"{role}\"}} 0"))
    };
    app.nats.kill().await;
    until("who cannot be asked owns nothing", async || owns_nothing(&told[0], "commands").await).await;
    app.postgres.kill().await;
    until("who cannot renew owns nothing", async || owns_nothing(&told[1], "projector").await).await;
}

#[tokio::test]
async fn without_the_setting_nothing_is_told() {
    let app = App::new().await;
    let worker = app.worker("commands").await;
    assert!(!worker.log().contains("metrics are told"));
}
