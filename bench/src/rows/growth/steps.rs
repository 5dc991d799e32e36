//! The same steps in conversations of different lengths, in turn.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use tokio::time::timeout;
use uuid::Uuid;

use super::super::Plan;
use crate::Error;
use crate::load::Chat;
use crate::load::chat::message;
use crate::load::seed::since;
use crate::load::socket::PATIENCE;
use crate::measure::Latencies;
use crate::provider::Provider;

/// How many commands a conversation gets before it is another's turn: so few that one of ten events stays short.
const COMMANDS: usize = 2;
/// How many commands elsewhere pass before anything counts.
const WARM_UP: usize = 50;

/// What was found at one length.
pub(super) struct Found {
    /// A conversation's first command, when nobody has it in memory.
    pub(super) cold: Latencies,
    pub(super) command: Latencies,
    pub(super) open: Latencies,
    pub(super) prompt: Latencies,
}

/// Does each step so many times at every length, the lengths in turn, so that what changes meanwhile changes for all.
/// No length may be without a conversation.
pub(super) async fn walk(
    address: SocketAddr,
    provider: &Provider,
    lengths: &[Vec<Uuid>],
    plan: Plan,
) -> Result<Vec<Found>, Error> {
    let mut chat = Chat::login(address, "ann", 0).await?;
    let mut found: Vec<Found> = lengths.iter().map(|_| Found::new()).collect::<Result<_, _>>()?;
    let elsewhere = chat.start().await?;
    for _ in 0..WARM_UP {
        command(&mut chat, elsewhere).await?;
    }
    for (ids, found) in lengths.iter().zip(&mut found) {
        for id in ids {
            found.cold.record(command(&mut chat, *id).await?);
        }
    }
    for nth in 0..plan.pick(40, 120) {
        for (id, found) in one_of_each(lengths, nth).zip(&mut found) {
            found.open.record(open(&mut chat, id).await?);
        }
    }
    for nth in 0..plan.pick(30, 60) {
        for (id, found) in one_of_each(lengths, nth).zip(&mut found) {
            found.prompt.record(prompt(&mut chat, provider, id).await?);
        }
    }
    // Last: so many short messages would be what a conversation opens with, and what its prompt holds.
    for nth in 0..plan.pick(160, 320) {
        for (id, found) in one_of_each(lengths, nth / COMMANDS).zip(&mut found) {
            found.command.record(command(&mut chat, id).await?);
        }
    }
    Ok(found)
}

/// The `nth` conversation of each length, over and over.
fn one_of_each(lengths: &[Vec<Uuid>], nth: usize) -> impl Iterator<Item = Uuid> {
    lengths.iter().map(move |ids| ids[nth % ids.len()])
}

impl Found {
    fn new() -> Result<Self, Error> {
        let [cold, command, open, prompt] =
            [Latencies::new()?, Latencies::new()?, Latencies::new()?, Latencies::new()?];
        Ok(Self { cold, command, open, prompt })
    }
}

async fn command(chat: &mut Chat, conversation: Uuid) -> Result<Duration, Error> {
    let begun = Instant::now();
    chat.command(conversation, &message("And?", false)).await?;
    Ok(begun.elapsed())
}

async fn open(chat: &mut Chat, conversation: Uuid) -> Result<Duration, Error> {
    let begun = Instant::now();
    chat.follow(conversation).await?;
    let took = begun.elapsed();
    chat.unfollow(conversation).await?;
    Ok(took)
}

/// From the record of an attempt's claim until the provider has the whole request.
async fn prompt(chat: &mut Chat, provider: &Provider, conversation: Uuid) -> Result<Duration, Error> {
    chat.follow(conversation).await?;
    provider.take_asked();
    chat.ask(conversation, &message("Well?", true)).await?;
    let answered = async {
        let mut claimed = None;
        loop {
            let frame = chat.next().await?;
            match frame.event {
                Some(event) if event.kind == "ReplyAttemptStarted" => claimed = frame.at.map(str::to_owned),
                Some(event) if event.kind == "ReplyCompleted" => return Ok(claimed),
                Some(event) if event.kind == "ReplyFailed" => return Err(Error("a reply failed".to_owned())),
                _ if frame.kind == "refused" => return Err(crate::load::chat::refused(&frame)),
                _ => {}
            }
        }
    };
    let claimed = timeout(PATIENCE, answered).await.map_err(|_| Error("a reply does not end".to_owned()))??;
    chat.unfollow(conversation).await?;
    let asked = provider.take_asked().ok_or_else(|| Error("the provider was not asked".to_owned()))?;
    since(&claimed.unwrap_or_default(), asked.at)
}
