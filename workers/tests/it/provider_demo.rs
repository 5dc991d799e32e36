//! The demo provider does as it is told.

use std::time::{Duration, Instant};

use domain::conversation::Finish;
use futures::StreamExt;
use workers::provider::demo::Demo;
use workers::provider::{Chunk, ErrorKind, Provider};

use crate::provider_fake::{ask, collect};

async fn answer(question: &str) -> String {
    let (text, end) = collect(&Demo, question).await;
    assert!(matches!(end, Ok(Chunk::Finished { finish: Finish::Stop, .. })), "{end:?}");
    text
}

/// How long a word takes, over the first few.
async fn pace(question: &str) -> Duration {
    const WORDS: u32 = 5;
    let mut stream = Demo.stream(ask(question));
    // The first one comes at once.
    stream.next().await;
    let began = Instant::now();
    for _ in 0..WORDS {
        stream.next().await;
    }
    began.elapsed() / WORDS
}

#[tokio::test]
async fn it_says_what_it_is_and_quotes_the_question() {
    let text = answer("instant What is *this*\n`thing`?").await;
    assert!(text.contains("not a model"), "{text}");
    assert!(text.contains("> instant What is \\*this\\* \\`thing\\`?\n"), "{text}");
    assert!(text.contains("message 1 of this branch"), "{text}");
    for command in ["slow", "instant", "long", "fail", "cut"] {
        assert!(text.contains(&format!("| `{command}` |")), "{text}");
    }
    assert_eq!(text, answer("instant What is *this*\n`thing`?").await);
}

#[tokio::test]
async fn it_has_a_pace() {
    let usual = pace("Hello").await;
    assert!((Duration::from_millis(33)..Duration::from_millis(150)).contains(&usual), "{usual:?}");
    assert!(pace("slow, please").await >= Duration::from_millis(200));
    assert!(pace("instant").await < Duration::from_millis(20));
}

#[tokio::test]
async fn it_can_be_long_and_it_can_fail() {
    assert!(answer("long instant").await.split_whitespace().count() > 3000);
    for (question, kind) in
        [("instant fail", ErrorKind::Invalid), ("Please /cut here /instant", ErrorKind::Interrupted)]
    {
        let (text, end) = collect(&Demo, question).await;
        assert_eq!((text.split_whitespace().count(), end.unwrap_err().kind), (12, kind));
    }
}

#[tokio::test]
async fn ordinary_words_are_no_commands() {
    let text = answer("How long, and why does my slow build fail? /instant").await;
    assert!(text.split_whitespace().count() < 400);
}
