//! What people have used of what their limits allow.
//!
//! A worker sets aside, before it asks a model, the most that the call can take; it locks the person's row first, so that no two
//! calls are given the same room. What an attempt spent is told by the event that ends it: the transaction that adds it to the
//! person's day also removes what was set aside for the attempt. Both are summed up in one statement, so that no sum holds an
//! attempt twice, or not at all. Until that transaction, some 20 ms after the event, what was set aside still counts: a sum may
//! be too high for a moment, and is never too low.
//!
//! Nothing is set aside for ever. An attempt that was claimed ends in an event, by its worker or by the reaper, and so does
//! one of a conversation that is deleted. There is one way to come too late: a worker that was frozen between claim and call.
//! What it sets aside for an attempt whose end was taken in before is found by [`sweep`].

#[cfg(test)]
mod tests;

use chrono::{DateTime, Utc};
use domain::account::{Limits, MAX_LIMIT};
use domain::conversation::Spent;
use domain::{AccountId, ConversationId, Shard};
use sqlx::{PgPool, PgTransaction, Row};
use store::Position;
use store::log::{signed, unsigned};

use crate::budget::{self, Amount, Granted, Refused, Used, Wanted};
use crate::open_replies::{OpenReply, column};

/// An attempt that was claimed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Claimed {
    pub(crate) attempt: OpenReply,
    /// Where its claim stands in the log.
    pub(crate) position: Position,
    /// On whose account it goes.
    pub(crate) account: AccountId,
}

/// Sets aside what a call of the attempt can take, if the limits leave room for it. Asked again, it decides anew.
///
/// # Errors
/// When Postgres does not answer: then it may have been set aside all the same.
pub(crate) async fn set_aside(
    pool: &PgPool,
    claimed: &Claimed,
    limits: &Limits,
    wanted: &Wanted<'_>,
) -> Result<Result<Granted, Refused>, sqlx::Error> {
    let mut tx = store::begin(pool).await?;
    lock(&mut tx, claimed.account).await?;
    let used = used(&mut tx, claimed).await?;
    let granted = match budget::grant(limits, &used, wanted) {
        Ok(granted) => granted,
        Err(refused) => return Ok(Err(refused)),
    };
    note(&mut tx, claimed, &used, granted.set_aside).await?;
    tx.commit().await?;
    Ok(Ok(granted))
}

/// Has everyone else wait who wants to set something aside for this person. What they have used is read by later statements,
/// which see what those did who were waited for.
async fn lock(tx: &mut PgTransaction<'_>, account: AccountId) -> Result<(), sqlx::Error> {
    sqlx::query(
        "insert into call_counts (account, minute, calls) values ($1, now(), 0)
         on conflict (account) do update set account = excluded.account",
    )
    .bind(account.0)
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// What the person has used by now, this attempt left out. What an earlier attempt at the same reply has set aside may still be
/// there; it is no reply that runs beside it.
async fn used(tx: &mut PgTransaction<'_>, claimed: &Claimed) -> Result<Used, sqlx::Error> {
    let OpenReply { conversation, reply, attempt } = claimed.attempt;
    // A sum that no bigint holds is above every limit all the same.
    let row = sqlx::query(
        "with clock as materialized (select clock_timestamp() as now),
         today as (select (now at time zone 'UTC')::date as today from clock),
         spent as (
             select least(coalesce(sum(micro_usd), 0), $5)::bigint as month_usd,
                    least(coalesce(sum(tokens), 0), $5)::bigint as month_tokens,
                    least(coalesce(sum(micro_usd) filter (where day >= today), 0), $5)::bigint as day_usd,
                    least(coalesce(sum(tokens) filter (where day >= today), 0), $5)::bigint as day_tokens
             from spent_by_day, today
             where account = $1 and day > today - extract(day from today)::int),
         held as (
             select count(*) filter (where (conversation, reply) <> ($2, $3)) as running, least(coalesce(sum(micro_usd), 0), $5)::bigint as held_usd,
                    least(coalesce(sum(tokens), 0), $5)::bigint as held_tokens
             from reservations where account = $1 and (conversation, reply, attempt) <> ($2, $3, $4))
         select clock.now, minute, calls, spent.*, held.* from call_counts, clock, spent, held where account = $1",
    )
    .bind(claimed.account.0)
    .bind(conversation.0)
    .bind(reply.0)
    .bind(column(attempt))
    .bind(signed(MAX_LIMIT))
    .fetch_one(&mut **tx)
    .await?;
    let number = |name: &str| Ok::<_, sqlx::Error>(unsigned(row.try_get(name)?));
    let (now, counted): (DateTime<Utc>, DateTime<Utc>) = (row.try_get("now")?, row.try_get("minute")?);
    Ok(Used {
        now,
        today: Amount { micro_usd: number("day_usd")?, tokens: number("day_tokens")? },
        this_month: Amount { micro_usd: number("month_usd")?, tokens: number("month_tokens")? },
        set_aside: Amount { micro_usd: number("held_usd")?, tokens: number("held_tokens")? },
        running: number("running")?,
        calls: if budget::minute(counted) == budget::minute(now) { number("calls")? } else { 0 },
    })
}

/// Notes the call, and what is set aside for it.
async fn note(
    tx: &mut PgTransaction<'_>,
    claimed: &Claimed,
    used: &Used,
    set_aside: Amount,
) -> Result<(), sqlx::Error> {
    let OpenReply { conversation, reply, attempt } = claimed.attempt;
    sqlx::query(
        "with counted as (update call_counts set minute = $9, calls = $10 where account = $4)
         insert into reservations (conversation, reply, attempt, account, shard, pos, micro_usd, tokens)
         values ($1, $2, $3, $4, $5, $6, $7, $8)
         on conflict (conversation, reply, attempt) do update
         set micro_usd = excluded.micro_usd, tokens = excluded.tokens",
    )
    .bind(conversation.0)
    .bind(reply.0)
    .bind(column(attempt))
    .bind(claimed.account.0)
    .bind(i32::from(claimed.position.shard))
    .bind(signed(claimed.position.pos))
    .bind(signed(set_aside.micro_usd))
    .bind(signed(set_aside.tokens))
    .bind(budget::minute(used.now))
    .bind(signed(used.calls + 1))
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// Takes in what an attempt spent that has ended, and gives back what was set aside for it and for those before it. It goes on
/// the account that `open_replies` knows: before the reply is removed there.
pub(crate) async fn settle(
    tx: &mut PgTransaction<'_>,
    OpenReply { conversation, reply, attempt }: OpenReply,
    ended_at: DateTime<Utc>,
    spent: Option<&Spent>,
) -> Result<(), sqlx::Error> {
    let micro_usd = spent.and_then(|spent| spent.cost.as_ref()).map_or(0, |cost| cost.micros);
    let tokens = spent.map_or(0, |spent| spent.usage.tokens());
    // Providers may tell whatever number they like: no sum of such shall be more than a bigint holds.
    sqlx::query(
        "with given_back as (
             delete from reservations where conversation = $1 and reply = $2 and attempt <= $3)
         insert into spent_by_day as s (account, day, conversation, micro_usd, tokens)
         select account, $4, $1, least($5, $7), least($6, $7) from open_replies
         where conversation = $1 and reply = $2 and account is not null and ($5 > 0 or $6 > 0)
         on conflict (account, day, conversation) do update
         set micro_usd = least(s.micro_usd + excluded.micro_usd, $7), tokens = least(s.tokens + excluded.tokens, $7)",
    )
    .bind(conversation.0)
    .bind(reply.0)
    .bind(column(attempt))
    .bind(ended_at.date_naive())
    .bind(signed(micro_usd))
    .bind(signed(tokens))
    .bind(signed(MAX_LIMIT))
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// Forgets what was spent in a conversation, to be taken in anew.
pub(crate) async fn forget(tx: &mut PgTransaction<'_>, conversation: ConversationId) -> Result<(), sqlx::Error> {
    sqlx::query("delete from spent_by_day where conversation = $1").bind(conversation.0).execute(&mut **tx).await?;
    Ok(())
}

/// Gives back what is set aside for attempts of a shard whose claims have been taken in, up to the checkpoint of this name, and
/// which run no longer.
pub(crate) async fn sweep(pool: &PgPool, checkpoint: &str, shard: Shard) -> Result<u64, sqlx::Error> {
    let swept = sqlx::query(
        "delete from reservations r using checkpoints c
         where r.shard = $1 and c.shard = $1 and c.projection = $2 and r.pos <= c.pos and not exists (
             select from open_replies o where o.conversation = r.conversation and o.reply = r.reply
             and o.attempt = r.attempt and o.state <> 'pending')",
    )
    .bind(i32::from(shard))
    .bind(checkpoint)
    .execute(pool)
    .await?;
    Ok(swept.rows_affected())
}
