//! Whoever asks for many replies at once leaves room for others.

use crate::support::{App, until};

#[tokio::test]
async fn nobody_has_more_than_a_quarter_of_a_workers_slots() {
    let app = App::with("reply_concurrency = 4").await;
    let _processes = (app.worker("commands").await, app.worker("reply").await);
    let api = app.api().await;
    let mut ann = app.client(&api, "ann").await;
    let questions = ["hold 5 first", "hold 5 second", "hold 5 third", "hold 5 fourth", "hold 5 fifth"];
    let mut asked = Vec::new();
    for question in questions {
        asked.push(ann.ask_anew(None, question).await);
    }
    let held = || questions.iter().map(|question| app.provider.calls(question)).sum::<usize>();
    until("one of hers is answered", async || held() > 0).await;
    let (mut bob, id, reply) = app.asking(&api, "bob", None, "say 5 words").await;
    assert_eq!(bob.end_of(&id, &reply).await["type"], "ReplyCompleted");
    assert_eq!(held(), 1);

    // What waits is not this worker's alone.
    let _other = app.worker("reply").await;
    until("another has room for one more", async || held() == 2).await;
    app.provider.release();
    for (id, reply) in &asked {
        assert_eq!(ann.end_of(id, reply).await["type"], "ReplyCompleted");
    }
    assert_eq!(held(), questions.len());
}
