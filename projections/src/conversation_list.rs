//! Everyone's list of conversations.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use domain::conversation::{Command, Event, Part};
use domain::{ConversationId, Shard, Tenant, UserId};
use nats::signal::ListChange;
use serde::{Deserialize, Serialize};
use serde_json::value::to_raw_value;
use sqlx::{PgExecutor, PgTransaction};
use uuid::Uuid;

use crate::projection::{Happened, News, Projection, from_json, to_json};
use crate::view::ConversationView;

/// The name of this view.
pub const NAME: &str = "conversation_list";
/// How much of a first message is shown where there is no title, in characters.
const PREVIEW_CHARS: usize = 80;

/// A row of `conversations`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Row {
    tenant: Tenant,
    #[serde(flatten)]
    view: ConversationView,
}

/// A conversation that a batch touches.
#[derive(Default)]
struct Touched {
    /// As it stands; none before it began and after it was deleted.
    row: Option<Row>,
    /// Who has it in their list no longer.
    left: BTreeSet<(Tenant, UserId)>,
    /// Whether its people should hear of it.
    news: bool,
}

#[derive(Default)]
pub(crate) struct ConversationList {
    touched: BTreeMap<ConversationId, Touched>,
}

impl Projection for ConversationList {
    const NAME: &'static str = NAME;
    type Of = Command;
    const TABLES: &'static [&'static str] = &["conversations", "members"];

    async fn load(tx: &mut PgTransaction<'_>, batch: &[Happened<'_, Command>]) -> Result<Self, sqlx::Error> {
        let mut touched: BTreeMap<ConversationId, Touched> =
            batch.iter().map(|happened| (happened.id, Touched::default())).collect();
        let ids: Vec<Uuid> = touched.keys().map(|id| id.0).collect();
        let rows: Vec<String> = sqlx::query_scalar("select to_json(c)::text from conversations c where id = any($1)")
            .bind(&ids)
            .fetch_all(&mut **tx)
            .await?;
        for row in rows {
            let row: Row = from_json(&row)?;
            if let Some(touched) = touched.get_mut(&row.view.id) {
                touched.row = Some(row);
            }
        }
        Ok(Self { touched })
    }

    fn apply(&mut self, happened: &Happened<'_, Command>) {
        self.touched.entry(happened.id).or_default().apply(happened);
    }

    async fn save(self, tx: &mut PgTransaction<'_>) -> Result<Vec<News>, sqlx::Error> {
        let ids: Vec<Uuid> = self.touched.keys().map(|id| id.0).collect();
        let gone: Vec<Uuid> =
            self.touched.iter().filter(|(_, touched)| touched.row.is_none()).map(|(id, _)| id.0).collect();
        let someone_left = self.touched.values().any(|touched| !touched.left.is_empty());
        let rows: Vec<&Row> = self.touched.values().filter_map(|touched| touched.row.as_ref()).collect();
        if !gone.is_empty() {
            sqlx::query("delete from conversations where id = any($1)").bind(&gone).execute(&mut **tx).await?;
        }
        sqlx::query(
            "insert into conversations select * from json_populate_recordset(null::conversations, $1::json)
             on conflict (id) do update set
                 title = excluded.title, preview = excluded.preview, participants = excluded.participants,
                 model = excluded.model, system_prompt = excluded.system_prompt, active_leaf = excluded.active_leaf,
                 archived = excluded.archived, sequence = excluded.sequence, updated_at = excluded.updated_at",
        )
        .bind(to_json(&rows)?)
        .execute(&mut **tx)
        .await?;
        if someone_left {
            remove_members(tx, &ids).await?;
        }
        sqlx::query(
            "insert into members (tenant, user_id, conversation, archived, updated_at)
             select c.tenant, user_id, c.id, c.archived, c.updated_at
             from conversations c, unnest(c.participants) as user_id where c.id = any($1)
             on conflict (conversation, user_id) do update
             set archived = excluded.archived, updated_at = excluded.updated_at
             where (members.archived, members.updated_at) is distinct from (excluded.archived, excluded.updated_at)",
        )
        .bind(&ids)
        .execute(&mut **tx)
        .await?;
        Ok(self.touched.into_iter().flat_map(|(id, touched)| touched.into_news(id)).collect())
    }

    async fn clear(tx: &mut PgTransaction<'_>, conversation: ConversationId) -> Result<(), sqlx::Error> {
        for sql in ["delete from conversations where id = $1", "delete from members where conversation = $1"] {
            sqlx::query(sql).bind(conversation.0).execute(&mut **tx).await?;
        }
        Ok(())
    }
}

/// Removes those who are no participants any more.
async fn remove_members(tx: &mut PgTransaction<'_>, conversations: &[Uuid]) -> Result<(), sqlx::Error> {
    sqlx::query(
        "delete from members m where m.conversation = any($1) and not exists (
             select from conversations c where c.id = m.conversation and m.user_id = any(c.participants))",
    )
    .bind(conversations)
    .execute(&mut **tx)
    .await?;
    Ok(())
}

impl Touched {
    fn apply(&mut self, happened: &Happened<'_, Command>) {
        let Happened { sequence, at, event, .. } = happened;
        if let Some(row) = begun(happened) {
            self.row = Some(row);
        }
        let Some(Row { tenant, view }) = &mut self.row else { return };
        view.sequence = *sequence;
        if is_news(event) {
            view.updated_at = *at;
            self.news = true;
        }
        match event {
            Event::ParticipantAdded { user } => {
                self.left.remove(&(tenant.clone(), user.clone()));
            }
            Event::ParticipantRemoved { user } => {
                self.left.insert((tenant.clone(), user.clone()));
            }
            _ => {}
        }
        if let Event::ConversationDeleted {} = event {
            self.left.extend(view.participants.drain(..).map(|user| (tenant.clone(), user)));
            self.row = None;
        } else {
            change(view, event);
        }
    }

    fn into_news(self, id: ConversationId) -> Vec<News> {
        let left = self.left.into_iter().map(|(tenant, user)| News {
            tenant,
            user,
            change: ListChange { id, conversation: None },
        });
        let mut news: Vec<News> = left.collect();
        if let Some(row) = self.row.filter(|_| self.news) {
            let conversation = to_raw_value(&row.view).ok();
            news.extend(row.view.participants.into_iter().map(|user| News {
                tenant: row.tenant.clone(),
                user,
                change: ListChange { id, conversation: conversation.clone() },
            }));
        }
        news
    }
}

/// The row of a conversation that an event begins.
fn begun(Happened { id, at, event, .. }: &Happened<'_, Command>) -> Option<Row> {
    let Event::ConversationStarted { owner, tenant, title, model, system_prompt } = event else { return None };
    let view = ConversationView {
        id: *id,
        title: title.clone(),
        preview: None,
        owner: owner.clone(),
        participants: vec![owner.clone()],
        model: model.clone(),
        system_prompt: system_prompt.clone(),
        active_leaf: None,
        archived: false,
        sequence: 0,
        created_at: *at,
        updated_at: *at,
    };
    Some(Row { tenant: tenant.clone(), view })
}

fn change(view: &mut ConversationView, event: &Event) {
    match event {
        Event::ConversationRenamed { title } => view.title = Some(title.clone()),
        Event::ModelConfigured { model, system_prompt } => {
            view.model.clone_from(model);
            view.system_prompt.clone_from(system_prompt);
        }
        Event::ParticipantAdded { user } => {
            view.participants.push(user.clone());
            view.participants.sort();
            view.participants.dedup();
        }
        Event::ParticipantRemoved { user } => view.participants.retain(|participant| participant != user),
        Event::MessageSubmitted { message, parts, .. } => {
            view.active_leaf = Some(*message);
            view.preview.get_or_insert_with(|| preview(parts));
        }
        Event::ReplyRequested { reply, .. } => view.active_leaf = Some(*reply),
        Event::BranchSelected { leaf } => view.active_leaf = Some(*leaf),
        Event::ConversationArchived {} => view.archived = true,
        Event::ConversationUnarchived {} => view.archived = false,
        _ => {}
    }
}

/// Whether an event is one that moves its conversation up in the lists: not what happens within a reply's making.
fn is_news(event: &Event) -> bool {
    !matches!(
        event,
        Event::ReplyAttemptStarted { .. }
            | Event::ReplyAttemptFailed { .. }
            | Event::ReplyAttemptExpired { .. }
            | Event::ReplyStopRequested { .. }
            | Event::BranchSelected { .. }
    )
}

fn preview(parts: &[Part]) -> String {
    let text: String = parts.iter().filter_map(Part::text).collect::<Vec<_>>().join(" ");
    let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
    words.chars().take(PREVIEW_CHARS).collect()
}

/// A page of a person's list.
#[derive(Clone, Debug)]
pub struct Page {
    /// The person.
    pub user: UserId,
    /// Their tenant.
    pub tenant: Tenant,
    /// Whether those put aside are wanted, or the others.
    pub archived: bool,
    /// Where the page before ended: its last row's `updated_at` and id.
    pub before: Option<(DateTime<Utc>, ConversationId)>,
    /// How many rows.
    pub limit: u32,
}

/// A page of a person's list, the newest first.
///
/// # Errors
/// When Postgres does not answer.
pub async fn list(db: impl PgExecutor<'_>, page: &Page) -> Result<Vec<ConversationView>, sqlx::Error> {
    let (before, id) = page.before.map_or((None, None), |(at, id)| (Some(at), Some(id.0)));
    let rows: Vec<String> = sqlx::query_scalar(
        "select to_json(c)::text from conversation_list.members m
         join conversation_list.conversations c on c.id = m.conversation
         where m.tenant = $1 and m.user_id = $2 and m.archived = $3
           and ($4::timestamptz is null or (m.updated_at, m.conversation) < ($4, $5))
         order by m.updated_at desc, m.conversation desc limit $6",
    )
    .bind(page.tenant.as_str())
    .bind(page.user.as_str())
    .bind(page.archived)
    .bind(before)
    .bind(id)
    .bind(i64::from(page.limit))
    .fetch_all(db)
    .await?;
    rows.iter().map(|row| from_json::<Row>(row).map(|row| row.view)).collect()
}

/// A conversation and the tenant it belongs to.
///
/// # Errors
/// When Postgres does not answer.
pub async fn get(
    db: impl PgExecutor<'_>,
    conversation: ConversationId,
) -> Result<Option<(Tenant, ConversationView)>, sqlx::Error> {
    let row: Option<String> =
        sqlx::query_scalar("select to_json(c)::text from conversation_list.conversations c where id = $1")
            .bind(conversation.0)
            .fetch_optional(db)
            .await?;
    row.map(|row| from_json::<Row>(&row).map(|Row { tenant, view }| (tenant, view))).transpose()
}

/// How far the view has come in a shard.
///
/// # Errors
/// When Postgres does not answer.
pub async fn checkpoint(db: impl PgExecutor<'_>, shard: Shard) -> Result<u64, store::Error> {
    store::checkpoint::read(db, NAME, shard).await
}
