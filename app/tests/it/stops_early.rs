//! A stop hangs up on the provider also before it has said anything: while it is being connected to, while it is silent, behind
//! the head of its response, and while its model thinks.

use std::time::Duration;

use serde_json::json;
use tokio::io::AsyncReadExt;
use tokio::net::TcpListener;
use tokio::time::Instant;

use crate::support::{App, Biller, within};

/// How soon a stop has reached the provider.
const SOON: Duration = Duration::from_secs(3);

async fn app(biller: &Biller, never: &str) -> App {
    let provider = |id: &str, base_url: &str| {
        format!(
            "[[providers]]\nid = \"{id}\"\nprotocol = \"openai-chat\"\nbase_url = \"{base_url}\"\napi_key = \"k\"\nmodels = [{{ id = \"m\" }}]\n\n"
        )
    };
    App::with_tables("", |_| [provider("silent", &biller.base_url), provider("never", never)].concat()).await
}

#[tokio::test]
async fn a_stop_hangs_up_on_a_provider_that_has_said_nothing() {
    let biller = Biller::start().await;
    // Takes connections and never says a word of TLS.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let app = app(&biller, &format!("https://{}/v1", listener.local_addr().unwrap())).await;
    let _processes = (app.worker("commands,reply").await, app.projector().await);
    let api = app.api().await;
    let mut ann = app.client(&api, "ann").await;

    for (question, thought) in [("silent", 0), ("headed", 0), ("thinking", 1)] {
        let (id, reply) = ann.ask_anew(Some("silent/m"), question).await;
        biller.until_said(question, thought).await;
        if thought > 0 {
            // The client is told that the model thinks, so that its worker has heard the thought.
            ann.until_text(&id, &reply, 0).await;
        }
        let held = app.hold_lease(&id).await;
        let asked = Instant::now();
        ann.stop(&id, &reply).await.unwrap();
        within(SOON, "the provider is hung up on", biller.until_hung_up(question)).await;
        println!("{question}: hung up on {:?} after the stop", asked.elapsed());
        held.rollback().await.unwrap();
        let end = within(SOON, "the reply is stopped", ann.end_of(&id, &reply)).await;
        assert_eq!(end["type"], "ReplyStopped", "{question}");
        // The prompt had been read by then.
        let call = &biller.calls(question)[0];
        let usage = &end["spent"]["usage"];
        assert_eq!(
            (&end["spent"]["estimated"], usage["input"].as_u64()),
            (&json!(true), Some(call.input())),
            "{end:#}"
        );
        let written = usage["output"].as_u64().unwrap_or(0) + usage["reasoning"].as_u64().unwrap_or(0);
        assert_eq!(written, call.output(), "{end:#}");
    }

    // The worker has opened a connection ahead of any call.
    let _warm = within(SOON, "the provider is connected to", listener.accept()).await.unwrap();
    let (id, reply) = ann.ask_anew(Some("never/m"), "connecting").await;
    let (mut socket, _) = within(SOON, "the provider is connected to", listener.accept()).await.unwrap();
    // What a client of TLS says first.
    assert!(socket.read(&mut [0; 4096]).await.unwrap() > 0);
    let held = app.hold_lease(&id).await;
    ann.stop(&id, &reply).await.unwrap();
    let hung_up = async { while matches!(socket.read(&mut [0; 4096]).await, Ok(1..)) {} };
    within(SOON, "the provider is hung up on", hung_up).await;
    held.rollback().await.unwrap();
    assert_eq!(within(SOON, "the reply is stopped", ann.end_of(&id, &reply)).await["type"], "ReplyStopped");
}
