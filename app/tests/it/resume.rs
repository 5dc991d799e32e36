//! Clients that come late, or again: nothing missing, nothing twice.

use std::time::Duration;

use tokio::time::Instant;

use crate::happy::assert_same_as_stored;
use crate::support::{App, answer};

#[tokio::test]
async fn who_joins_in_the_middle_of_a_reply_gets_what_was_said_and_what_follows() {
    let app = App::new().await;
    let _workers = (app.worker("commands,reply").await, app.worker("commands,reply").await);
    let _projectors = (app.projector().await, app.projector().await);
    let (one, two) = (app.api().await, app.api().await);
    let mut ann = app.client(&one, "ann").await;
    let id = ann.start().await;
    ann.follow(&id).await;
    let reply = ann.submit(&id, "hold 50 words").await;
    let first_half = answer(50);
    ann.until_text(&id, &reply, first_half.len()).await;

    // Nothing more is said until they have come, so it must be what was kept that they get: also at an edge that heard
    // none of it.
    let (mut same, mut other) = (app.client(&one, "ann").await, app.client(&two, "ann").await);
    for late in [&mut same, &mut other] {
        late.follow(&id).await;
        late.until_text(&id, &reply, first_half.len()).await;
        assert_eq!(late.transcript(&id).running[&reply], (1, first_half.clone()));
    }
    app.provider.release();
    for client in [&mut ann, &mut same, &mut other] {
        assert_eq!(client.end_of(&id, &reply).await["parts"][0]["text"], answer(100));
        assert_same_as_stored(&app, &one, client, "ann", &id).await;
        assert_eq!(client.transcript(&id).repeated, 0, "each got it in one piece");
    }
}

#[tokio::test]
async fn a_client_whose_socket_is_cut_again_and_again_misses_nothing() {
    let app = App::new().await;
    let _workers = (app.worker("commands,reply").await, app.worker("commands,reply").await);
    let _projectors = (app.projector().await, app.projector().await);
    let (one, two) = (app.api().await, app.api().await);
    app.until_owned("commands", 2).await;
    let mut ann = app.client(&one, "ann").await;
    let mut asked = Vec::new();
    for nth in 0..3 {
        let id = ann.start().await;
        ann.follow(&id).await;
        let reply = ann.submit(&id, &format!("pace 250 10 of {nth}")).await;
        asked.push((id, reply));
    }
    let mut random = 0x2026_1121_u64;
    let mut cuts = 0;
    while !asked.iter().all(|(id, reply)| ann.transcript(id).end_of(reply).is_some()) {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let until = Instant::now() + Duration::from_millis((random >> 33) % 120);
        while Instant::now() < until {
            ann.read(until).await.unwrap();
        }
        let edge = if (random >> 40).is_multiple_of(2) { &one } else { &two };
        ann.cut_and_return(&edge.address).await;
        cuts += 1;
        assert!(cuts < 1_000, "the replies end");
    }
    let mut repeated = 0;
    for (id, reply) in &asked {
        assert_eq!(ann.end_of(id, reply).await["parts"][0]["text"], answer(250));
        assert_same_as_stored(&app, &one, &ann, "ann", id).await;
        repeated += ann.transcript(id).repeated;
    }
    assert_eq!(repeated, 0, "each piece of text came once");
    assert!(cuts > 10, "the socket was cut while text came: {cuts}");
}
