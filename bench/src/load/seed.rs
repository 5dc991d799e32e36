//! Conversations written straight into the log: what would take clients hours.

use std::collections::HashMap;

use chrono::Utc;
use domain::conversation::{self, Conversation, Event, Finish, Part, Usage};
use domain::{Actor, CommandId, ConversationId, MessageId, Metadata, ModelRef, Shard, Tenant, UserId, shard_of};
use sqlx::PgPool;
use store::append::{NewEvent, append};
use store::{Recorded, codec, log};
use uuid::Uuid;

use crate::Error;
use crate::fleet::MODEL;

/// How many events an append takes.
const AT_ONCE: usize = 500;
/// What words are made of.
const SYLLABLES: [&str; 32] = [
    "al", "an", "ba", "co", "de", "el", "en", "fa", "ge", "hi", "in", "jo", "ka", "li", "mo", "na", "or", "pe", "qui",
    "ra", "re", "sa", "ste", "ti", "tra", "un", "va", "we", "xi", "ya", "zo", "ing",
];
/// The tenant of logins that name none.
pub const TENANT: &str = "default";

/// A conversation to be written.
#[derive(Clone, Debug)]
pub struct Story {
    /// Its id.
    pub id: Uuid,
    /// Who owns it.
    pub owner: String,
    /// How many events it has; turns of four (question, request, attempt, answer) after the first.
    pub events: usize,
    /// How long each question and answer is, in bytes.
    pub bytes: usize,
}

impl Story {
    #[expect(clippy::too_many_lines, reason = "one story, told in one go")]
    fn tell(&self) -> Result<Vec<Event>, Error> {
        let owner: UserId = self.owner.parse().map_err(Error::other)?;
        let tenant: Tenant = TENANT.parse().map_err(Error::other)?;
        let model: ModelRef = MODEL.parse().map_err(Error::other)?;
        let title = Some("Bench".to_owned());
        let mut told =
            vec![Event::ConversationStarted { owner: owner.clone(), tenant, title, model: None, system_prompt: None }];
        let mut leaf = None;
        let mut random = fastrand::Rng::with_seed(0);
        let mut parts = || vec![Part::Text { text: words(&mut random, self.bytes) }];
        while told.len() < self.events {
            let (message, reply) = (MessageId(Uuid::new_v4()), MessageId(Uuid::new_v4()));
            let author = owner.clone();
            let worker = Uuid::nil().to_string();
            // Not enough room for a turn that ends: then messages that ask for no answer.
            if self.events - told.len() < 4 {
                told.push(Event::MessageSubmitted { message, parent: leaf, author, parts: parts(), edit_of: None });
                leaf = Some(message);
                continue;
            }
            told.extend([
                Event::MessageSubmitted { message, parent: leaf, author, parts: parts(), edit_of: None },
                Event::ReplyRequested { reply, parent: message, model: None, regenerate_of: None },
                Event::ReplyAttemptStarted {
                    reply,
                    attempt: 1,
                    worker,
                    lease_ms: 10_000,
                    model: None,
                    alternatives: None,
                    continues: false,
                },
                Event::ReplyCompleted {
                    reply,
                    attempt: 1,
                    parts: parts(),
                    finish: Finish::Stop,
                    model: model.clone(),
                    usage: Usage::default(),
                    spent: None,
                },
            ]);
            leaf = Some(reply);
        }
        Ok(told)
    }

    fn rows(&self) -> Result<Vec<NewEvent>, Error> {
        let actor = Actor::User(self.owner.parse().map_err(Error::other)?);
        let row = |(event, sequence): (Event, u64)| {
            let command = CommandId(Uuid::new_v4());
            let metadata = Metadata { actor: actor.clone(), command, digest: "0".repeat(32), traceparent: None };
            Ok(NewEvent {
                aggregate_type: conversation::TYPE,
                aggregate_id: ConversationId(self.id).to_string(),
                sequence,
                event_type: event.name().to_owned(),
                event_version: "1.0".to_owned(),
                payload: codec::encode::<Conversation>(&event).map_err(Error::other)?,
                metadata: serde_json::value::to_raw_value(&metadata).map_err(Error::other)?,
                tenant: TENANT.to_owned(),
                event_id: Uuid::now_v7(),
                command_id: Some(command),
            })
        };
        self.tell()?.into_iter().zip(1..).map(row).collect()
    }
}

/// So many bytes of words that vary as a language's do: what repeats itself would take next to no room in the database.
fn words(random: &mut fastrand::Rng, bytes: usize) -> String {
    let mut text = String::new();
    while text.len() < bytes {
        for _ in 0..random.usize(1..=4) {
            text.push_str(SYLLABLES[random.usize(..SYLLABLES.len())]);
        }
        text.push(' ');
    }
    text.truncate(bytes);
    text
}

/// Writes them; nobody else may append meanwhile. Gives what was recorded, in order within each shard.
///
/// # Errors
/// When Postgres refuses.
pub async fn seed(pool: &PgPool, shards: Shard, stories: &[Story]) -> Result<Vec<Recorded>, Error> {
    let mut waiting: HashMap<Shard, Vec<NewEvent>> = HashMap::new();
    let mut recorded = Vec::new();
    for story in stories {
        let shard = shard_of(&story.id.to_string(), shards);
        let rows = waiting.entry(shard).or_default();
        rows.extend(story.rows()?);
        while rows.len() >= AT_ONCE {
            let rest = rows.split_off(AT_ONCE);
            recorded.extend(write(pool, shard, std::mem::replace(rows, rest)).await?);
        }
    }
    for (shard, rows) in waiting {
        if !rows.is_empty() {
            recorded.extend(write(pool, shard, rows).await?);
        }
    }
    // Plans as of a table that is not empty: what a server that has run for a while has.
    sqlx::query("analyze").execute(pool).await?;
    Ok(recorded)
}

async fn write(pool: &PgPool, shard: Shard, rows: Vec<NewEvent>) -> Result<Vec<Recorded>, Error> {
    let head = log::head(pool, shard).await.map_err(Error::other)?;
    append(pool, shard, head, rows).await.map_err(|error| Error(format!("seeding fails: {error:?}")))
}

/// Ids that lie in one shard.
pub fn ids_in(shard: Shard, shards: Shard) -> impl Iterator<Item = Uuid> {
    std::iter::repeat_with(Uuid::new_v4).filter(move |id| shard_of(&id.to_string(), shards) == shard)
}

/// The time since an event was recorded, by the machine's clock, which is the database's too.
///
/// # Errors
/// When `at` is no time.
pub fn since(at: &str, now: std::time::SystemTime) -> Result<std::time::Duration, Error> {
    let at = chrono::DateTime::parse_from_rfc3339(at).map_err(Error::other)?;
    let now = chrono::DateTime::<Utc>::from(now);
    // Microseconds are what the database knows; a moment before is now.
    Ok((now - at.to_utc()).to_std().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn texts_vary_and_are_the_same_in_every_run() {
        let text = words(&mut fastrand::Rng::with_seed(0), 2_000);
        assert_eq!((text.len(), &text), (2_000, &words(&mut fastrand::Rng::with_seed(0), 2_000)));
        let pieces: HashSet<&[u8]> = text.as_bytes().windows(12).collect();
        assert!(pieces.len() > 1_900, "{}", pieces.len());
    }
}
