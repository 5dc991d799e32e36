//! The same steps in conversations of different lengths, in turn.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use tokio::time::timeout;
use uuid::Uuid;

use crate::Error;
use crate::load::Chat;
use crate::load::chat::message;
use crate::load::seed::since;
use crate::load::socket::PATIENCE;
use crate::measure::Latencies;
use crate::provider::Provider;

/// How many commands a conversation gets in a turn: so few that one of ten events stays short.
const COMMANDS: usize = 2;
/// How many commands each length gets in a turn, in all its conversations together.
const EACH: usize = 60;

/// What was found at one length.
pub(super) struct Found {
    /// A conversation's first command, when nobody has it in memory.
    pub(super) cold: Latencies,
    pub(super) command: Latencies,
    pub(super) open: Latencies,
    pub(super) prompt: Latencies,
}

/// Goes through all lengths so many times.
pub(super) async fn walk(
    address: SocketAddr,
    provider: &Provider,
    lengths: &[Vec<Uuid>],
    turns: usize,
) -> Result<Vec<Found>, Error> {
    let mut chat = Chat::login(address, "ann", 0).await?;
    let mut found: Vec<Found> = lengths.iter().map(|_| Found::new()).collect::<Result<_, _>>()?;
    for (ids, found) in lengths.iter().zip(&mut found) {
        for id in ids {
            found.cold.record(command(&mut chat, *id).await?);
        }
    }
    for turn in 0..turns {
        for (ids, found) in lengths.iter().zip(&mut found) {
            // The short ones are used up by and by: a turn takes only its share of them.
            let share = ids.len().div_ceil(turns);
            let here: Vec<Uuid> = ids.iter().cycle().skip(turn * share).take(share).copied().collect();
            for id in &here {
                for _ in 0..COMMANDS.max(EACH / turns / share) {
                    found.command.record(command(&mut chat, *id).await?);
                }
            }
            for id in here.iter().cycle().take(10) {
                let begun = Instant::now();
                chat.follow(*id).await?;
                found.open.record(begun.elapsed());
                chat.unfollow(*id).await?;
            }
            if let Some(id) = here.first() {
                found.prompt.record(prompt(&mut chat, provider, *id).await?);
            }
        }
    }
    Ok(found)
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
