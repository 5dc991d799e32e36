//! The lists of models that providers gave, as workers share them.

use std::time::Duration;

use nats::model_lists::ModelLists;
use nats::probe::Model;
use nats::test_server::Server;

use crate::wait::until;

fn list(ids: &[&str]) -> Vec<Model> {
    ids.iter().map(|id| Model { id: (*id).to_owned(), context_window: Some(8_000) }).collect()
}

/// A list of so many models of a third of a kilobyte each.
fn of_models(count: usize) -> Vec<Model> {
    (0..count).map(|nth| Model { id: format!("{nth:03}{}", "x".repeat(300)), context_window: None }).collect()
}

#[tokio::test]
async fn a_list_is_shared_and_told_by_its_key_alone() {
    let mut server = Server::start().await;
    let (one, other) = (ModelLists::new(&server.core().await), ModelLists::new(&server.core().await));
    assert_eq!(one.get("a1").await.unwrap(), None);
    one.put("a1", &list(&["m1"])).await.unwrap();
    other.put("a1", &list(&["m1", "m2"])).await.unwrap();
    other.put("b2", &[]).await.unwrap();
    assert_eq!(one.get("a1").await.unwrap(), Some(list(&["m1", "m2"])), "the newest");
    assert_eq!(one.get("b2").await.unwrap(), Some(Vec::new()));
    assert_eq!(one.get("c3").await.unwrap(), None);
    // A restart of the server is no reason to ask everyone again; the loss of everything is, and no more than that.
    server.kill();
    server.restart().await;
    until("it is still there", async || one.get("a1").await.is_ok_and(|found| found == Some(list(&["m1", "m2"]))))
        .await;
    server.wipe().await;
    until("it is gone", async || one.get("a1").await.is_ok_and(|found| found.is_none())).await;
    one.put("a1", &list(&["m3"])).await.unwrap();
    until("it is kept anew", async || other.get("a1").await.is_ok_and(|found| found == Some(list(&["m3"])))).await;
}

#[tokio::test]
async fn a_list_that_is_too_large_is_not_kept() {
    let server = Server::start().await;
    let lists = ModelLists::new(&server.core().await);
    lists.put("a1", &of_models(200)).await.unwrap();
    assert_eq!(lists.get("a1").await.unwrap(), None);
    lists.put("a1", &of_models(190)).await.unwrap();
    assert!(lists.get("a1").await.unwrap().is_some());
}

#[tokio::test]
async fn the_oldest_lists_make_room_for_others() {
    let server = Server::start().await;
    let lists = ModelLists::new(&server.core().await);
    lists.put("oldest", &list(&["m1"])).await.unwrap();
    // More than all lists together may take.
    let large = of_models(190);
    for nth in 0..1_100 {
        lists.put(&format!("hostile{nth}"), &large).await.unwrap();
    }
    lists.put("newest", &list(&["m1"])).await.unwrap();
    assert_eq!(lists.get("newest").await.unwrap(), Some(list(&["m1"])));
    assert_eq!(lists.get("oldest").await.unwrap(), None);
}

#[tokio::test]
async fn a_list_is_kept_for_a_day() {
    let server = Server::start().await;
    let client = server.core().await;
    ModelLists::new(&client).put("a1", &list(&["m1"])).await.unwrap();
    let bucket = nats::relay::jetstream(&client).get_stream("KV_models").await.unwrap();
    assert_eq!(bucket.cached_info().config.max_age, Duration::from_hours(24));
}
