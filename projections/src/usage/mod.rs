//! What people's replies spent: by day, model and conversation, on the account of whoever asked for the reply. An attempt
//! counts when it ends, on that day of UTC. What was spent in a conversation stays when the conversation is deleted.

mod figures;
mod query;

use std::collections::{BTreeMap, BTreeSet};

use chrono::NaiveDate;
use domain::conversation::{Command, Event, Spent};
use domain::{AccountId, ConversationId, MessageId, ModelRef};
use serde::{Deserialize, Serialize};
use sqlx::PgTransaction;
use store::Recorded;
use uuid::Uuid;

pub use figures::Figures;
pub use query::{By, MAX_ROWS, Question, UsageRow, UsageView, read};

use crate::projection::{Happened, News, Projection, from_json, to_json};

/// The name of this view.
pub const NAME: &str = "usage";

type ReplyKey = (ConversationId, MessageId);

/// A reply that has not ended.
#[derive(Clone, Debug, PartialEq)]
struct Open {
    /// On whose account it goes.
    account: AccountId,
    /// What the attempt asks that runs; none while none runs.
    model: Option<ModelRef>,
}

/// A row of `replies`.
#[derive(Serialize, Deserialize)]
struct ReplyRow {
    conversation: ConversationId,
    reply: MessageId,
    account: AccountId,
    model: Option<ModelRef>,
}

/// What a row of `spending` is about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
struct Key {
    account: AccountId,
    day: NaiveDate,
    model: ModelRef,
    conversation: ConversationId,
}

/// A row of `spending`, or what is added to it.
#[derive(Serialize)]
struct SpendingRow {
    #[serde(flatten)]
    key: Key,
    #[serde(flatten)]
    figures: Figures,
}

#[derive(Default)]
pub(crate) struct Spending {
    /// The open replies that a batch touches; none when they have ended.
    replies: BTreeMap<ReplyKey, Option<Open>>,
    /// Which of them the table has.
    stored: BTreeSet<ReplyKey>,
    /// What the batch adds: figures only grow, so that what is there need not be read.
    added: BTreeMap<Key, Figures>,
}

impl Projection for Spending {
    const NAME: &'static str = NAME;
    type Of = Command;
    const TABLES: &'static [&'static str] = &["replies", "spending"];
    const PASSED_OVER: &'static [&'static str] = &[
        "ConversationStarted",
        "ConversationRenamed",
        "ModelConfigured",
        "ParticipantAdded",
        "ParticipantRemoved",
        "MessageSubmitted",
        "ReplyStopRequested",
        "BranchSelected",
        "ConversationArchived",
        "ConversationUnarchived",
        // What runs then ends after it.
        "ConversationDeleted",
    ];

    async fn load(tx: &mut PgTransaction<'_>, batch: &[Happened<'_, Command>]) -> Result<Self, sqlx::Error> {
        let touched: BTreeSet<ReplyKey> =
            batch.iter().filter_map(|happened| Some((happened.id, continues(&happened.event)?))).collect();
        if touched.is_empty() {
            return Ok(Self::default());
        }
        let (conversations, ids): (Vec<Uuid>, Vec<Uuid>) = touched.iter().map(|(c, reply)| (c.0, reply.0)).unzip();
        let rows: Vec<String> = sqlx::query_scalar(
            "select to_json(r)::text from unnest($1::uuid[], $2::uuid[]) as touched(conversation, reply)
             join replies r using (conversation, reply)",
        )
        .bind(conversations)
        .bind(ids)
        .fetch_all(&mut **tx)
        .await?;
        let mut replies = BTreeMap::new();
        for row in rows {
            let ReplyRow { conversation, reply, account, model } = from_json(&row)?;
            replies.insert((conversation, reply), Some(Open { account, model }));
        }
        Ok(Self { stored: replies.keys().copied().collect(), replies, added: BTreeMap::new() })
    }

    fn apply(&mut self, happened: &Happened<'_, Command>) {
        let id = happened.id;
        match &happened.event {
            Event::ReplyRequested { reply, .. } => {
                let open = account(happened.recorded).map(|account| Open { account, model: None });
                self.replies.insert((id, *reply), open);
            }
            Event::ReplyAttemptStarted { reply, model, .. } => {
                if let Some(Some(open)) = self.replies.get_mut(&(id, *reply)) {
                    open.model.clone_from(model);
                }
            }
            Event::ReplyAttemptFailed { reply, spent, .. } | Event::ReplyAttemptExpired { reply, spent, .. } => {
                self.attempt_ended(happened, *reply, true, spent.as_ref());
            }
            Event::ReplyCompleted { reply, model, spent, .. } => {
                // An earlier version did not say at its start what it asks.
                if let Some(Some(open)) = self.replies.get_mut(&(id, *reply)) {
                    open.model.get_or_insert_with(|| model.clone());
                }
                self.attempt_ended(happened, *reply, false, spent.as_ref());
                self.replies.insert((id, *reply), None);
            }
            Event::ReplyStopped { reply, spent, .. } => {
                self.attempt_ended(happened, *reply, false, spent.as_ref());
                self.replies.insert((id, *reply), None);
            }
            Event::ReplyFailed { reply, spent, .. } => {
                self.attempt_ended(happened, *reply, true, spent.as_ref());
                self.replies.insert((id, *reply), None);
            }
            _ => {}
        }
    }

    async fn save(self, tx: &mut PgTransaction<'_>) -> Result<Vec<News>, sqlx::Error> {
        let ended = self.replies.iter().filter(|(key, open)| open.is_none() && self.stored.contains(key));
        remove(tx, &ended.map(|(key, _)| *key).collect::<Vec<_>>()).await?;
        let open = self.replies.into_iter().filter_map(|((conversation, reply), open)| {
            open.map(|Open { account, model }| ReplyRow { conversation, reply, account, model })
        });
        keep(tx, &open.collect::<Vec<_>>()).await?;
        let added = self.added.into_iter().map(|(key, figures)| SpendingRow { key, figures });
        add(tx, &added.collect::<Vec<_>>()).await?;
        Ok(Vec::new())
    }

    async fn clear(tx: &mut PgTransaction<'_>, id: ConversationId) -> Result<(), sqlx::Error> {
        for sql in ["delete from replies where conversation = $1", "delete from spending where conversation = $1"] {
            sqlx::query(sql).bind(id.0).execute(&mut **tx).await?;
        }
        Ok(())
    }
}

impl Spending {
    /// Counts the attempt that a reply has running, if one has: an end may be told after its attempt's.
    fn attempt_ended(
        &mut self,
        happened: &Happened<'_, Command>,
        reply: MessageId,
        failed: bool,
        spent: Option<&Spent>,
    ) {
        let Some(Some(open)) = self.replies.get_mut(&(happened.id, reply)) else { return };
        let Some(model) = open.model.take() else { return };
        let key = Key { account: open.account, day: happened.at.date_naive(), model, conversation: happened.id };
        self.added.entry(key).or_default().add(&Figures::of_attempt(failed, spent));
    }
}

/// On whose account a reply goes that was asked for here; none when no person asked.
fn account(recorded: &Recorded) -> Option<AccountId> {
    let metadata = recorded.metadata()?;
    Some(AccountId::of(&recorded.tenant.parse().ok()?, metadata.actor.user()?))
}

/// The reply that an event goes on with.
fn continues(event: &Event) -> Option<MessageId> {
    match event {
        Event::ReplyAttemptStarted { reply, .. }
        | Event::ReplyAttemptFailed { reply, .. }
        | Event::ReplyAttemptExpired { reply, .. }
        | Event::ReplyCompleted { reply, .. }
        | Event::ReplyStopped { reply, .. }
        | Event::ReplyFailed { reply, .. } => Some(*reply),
        _ => None,
    }
}

async fn remove(tx: &mut PgTransaction<'_>, ended: &[ReplyKey]) -> Result<(), sqlx::Error> {
    if !ended.is_empty() {
        let (conversations, ids): (Vec<Uuid>, Vec<Uuid>) = ended.iter().map(|(c, reply)| (c.0, reply.0)).unzip();
        sqlx::query(
            "delete from replies r using unnest($1::uuid[], $2::uuid[]) as ended(conversation, reply)
             where r.conversation = ended.conversation and r.reply = ended.reply",
        )
        .bind(conversations)
        .bind(ids)
        .execute(&mut **tx)
        .await?;
    }
    Ok(())
}

async fn keep(tx: &mut PgTransaction<'_>, open: &[ReplyRow]) -> Result<(), sqlx::Error> {
    if !open.is_empty() {
        sqlx::query(
            "insert into replies select * from json_populate_recordset(null::replies, $1::json)
             on conflict (conversation, reply) do update set account = excluded.account, model = excluded.model",
        )
        .bind(to_json(open)?)
        .execute(&mut **tx)
        .await?;
    }
    Ok(())
}

async fn add(tx: &mut PgTransaction<'_>, added: &[SpendingRow]) -> Result<(), sqlx::Error> {
    if !added.is_empty() {
        let sums =
            Figures::COLUMNS.map(|name| format!("{name} = least(s.{name} + excluded.{name}, {})", Figures::MOST));
        let sql = format!(
            "insert into spending as s select * from json_populate_recordset(null::spending, $1::json)
             on conflict (account, day, model, conversation) do update set {}",
            sums.join(", ")
        );
        sqlx::query(&sql).bind(to_json(added)?).execute(&mut **tx).await?;
    }
    Ok(())
}
