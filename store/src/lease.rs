//! Who owns which shard, in a role: rows that end by database time unless renewed.
//!
//! A lease is for speed: it keeps warm state in one place and work from being done twice. It is never what makes a write
//! right; that each position exists once (and, for a projection, the lock on its checkpoint) is. An advisory lock
//! would not do: a frozen process would keep it.
//!
//! For the same reason each change here is one statement and never a transaction of several: a process frozen between two
//! of them would keep the rows that it had locked, and everyone else would wait for it.

use std::collections::BTreeSet;
use std::sync::PoisonError;
use std::time::{Duration, Instant};

use domain::Shard;
use sqlx::postgres::PgArguments;
use sqlx::query::Query;
use sqlx::{PgPool, Postgres};
use tokio::sync::Mutex;
use tokio::time::timeout;
use uuid::Uuid;

use crate::own::Own;
use crate::{Error, metrics};

/// How long a lease holds without renewal.
pub const TERM: Duration = Duration::from_secs(2);
/// How often it is renewed, and how often a free one is looked for.
pub const RENEW_EVERY: Duration = Duration::from_millis(500);

/// Says that the process is alive, renews what it owns and takes what is free, up to its fair share: the shards divided by the
/// processes alive, the remainder going to the first of them, one each. One that is about to leave (`$4` is false) takes nothing,
/// and says that it is alive no longer: others have its share from now on. It waits for no one but to write its own rows; it
/// looks for the silent after having said so itself (`silent` reads `alive`), for two that find each other silent would else
/// wait for each other.
const RENEW: &str = "\
with alive as (
    insert into processes (role, process, seen_at) values ($1, $2, case when $4 then now() else '-infinity' end)
    on conflict (role, process) do update set seen_at = excluded.seen_at returning role
), silent as (
    select p.process from processes p, alive
    where p.role = alive.role and p.process <> $2 and p.seen_at < now() - make_interval(secs => $3)
    for update of p skip locked
), forgotten as (
    delete from processes where role = $1 and process in (select process from silent)
), others as (
    select count(*) as alive, count(*) filter (where process < $2) as before from processes
    where role = $1 and process <> $2 and seen_at >= now() - make_interval(secs => $3)
), fair as (
    select s.count / (o.alive + 1) + (o.before < s.count % (o.alive + 1))::int as share
    from others o, (select count(*) from shards) s
), renewed as (
    update leases set expires_at = now() + make_interval(secs => $3) where role = $1 and owner = $2 returning shard
), wanted as (
    select case when $4 then greatest(share - (select count(*) from renewed), 0) else 0 end as shards from fair
), expired as (
    select shard from leases where role = $1 and owner <> $2 and expires_at < now()
    order by shard limit (select shards from wanted) for update skip locked
), taken as (
    update leases l set owner = $2, expires_at = now() + make_interval(secs => $3)
    from expired where l.role = $1 and l.shard = expired.shard returning l.shard
), claimed as (
    insert into leases (role, shard, owner, expires_at)
    select $1, s.shard, $2, now() + make_interval(secs => $3) from shards s
    where not exists (select from leases l where l.role = $1 and l.shard = s.shard)
    order by s.shard limit (select shards from wanted) - (select count(*) from taken)
    on conflict (role, shard) do nothing returning shard
)
select share, shard from fair left join (
    select shard from renewed union all select shard from taken union all select shard from claimed
) owned on true";

/// One process's part in sharing out the shards of a role.
#[derive(Debug)]
pub struct Leases {
    /// Not one of the pool's, which may be busy for longer than a lease holds.
    connection: Mutex<Own>,
    role: &'static str,
    process: Uuid,
    /// What it had when it last looked, and until when that holds: for the figures alone.
    had: std::sync::Mutex<(BTreeSet<Shard>, Instant)>,
}

/// What a process owns after a renewal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owned {
    /// The shards that it owns and may keep.
    pub keep: BTreeSet<Shard>,
    /// The shards that it still owns and should give up, others having too few: stop working on them, then [`Leases::release`].
    pub give_up: BTreeSet<Shard>,
    /// Until when that holds, by this process's own clock.
    pub valid_until: Instant,
}

impl Leases {
    /// The part of `process` in `role`.
    pub fn new(pool: &PgPool, role: &'static str, process: Uuid) -> Self {
        let had = std::sync::Mutex::new((BTreeSet::new(), Instant::now()));
        Self { connection: Mutex::new(Own::like(pool)), role, process, had }
    }

    /// Says that the process is alive, renews what it owns and takes what is free up to its fair share.
    ///
    /// # Errors
    /// When Postgres does not answer; what was owned then holds until it ends.
    pub async fn renew(&self) -> Result<Owned, Error> {
        self.renew_as(true).await
    }

    /// The same of a process that is about to leave: it keeps its own, takes nothing, which it would soon give up again, and
    /// others share out all that is free.
    ///
    /// # Errors
    /// As for [`Self::renew`].
    pub async fn renew_taking_nothing(&self) -> Result<Owned, Error> {
        self.renew_as(false).await
    }

    async fn renew_as(&self, may_take: bool) -> Result<Owned, Error> {
        // Taken before the question is sent, so that it ends no later than the row.
        let valid_until = Instant::now() + TERM;
        // An answer that comes later says what was.
        let answer = timeout(TERM, self.ask_renewal(may_take)).await.unwrap_or(Err(Error::Silent));
        let rows = answer.inspect_err(|_| self.lapse())?;
        let share = rows.first().map_or(0, |(share, _)| usize::try_from(*share).unwrap_or(0));
        let owned: BTreeSet<Shard> = rows.into_iter().filter_map(|(_, shard)| Shard::try_from(shard?).ok()).collect();
        self.has(&owned, valid_until);
        let give_up: BTreeSet<Shard> = owned.iter().rev().take(owned.len().saturating_sub(share)).copied().collect();
        Ok(Owned { keep: &owned - &give_up, give_up, valid_until })
    }

    async fn ask_renewal(&self, may_take: bool) -> Result<Vec<(i64, Option<i32>)>, Error> {
        let mut own = self.connection.lock().await;
        let mut connection = own.take().await?;
        let asking = sqlx::query_as(RENEW).bind(self.role).bind(self.process).bind(TERM.as_secs_f64());
        let rows = asking.bind(may_take).fetch_all(&mut connection).await?;
        own.give_back(connection);
        Ok(rows)
    }

    /// Gives shards up at once, so that another process need not wait for the term's end.
    ///
    /// # Errors
    /// When Postgres does not answer; the leases then end by themselves.
    pub async fn release(&self, shards: &BTreeSet<Shard>) -> Result<(), Error> {
        if shards.is_empty() {
            return Ok(());
        }
        let shards: Vec<i32> = shards.iter().map(|shard| i32::from(*shard)).collect();
        let deleting = sqlx::query("delete from leases where role = $1 and owner = $2 and shard = any($3)");
        self.tell(deleting.bind(self.role).bind(self.process).bind(shards)).await
    }

    /// Leaves the role: gives up every shard and no longer counts when they are shared out.
    ///
    /// # Errors
    /// When Postgres does not answer; the leases then end by themselves.
    pub async fn leave(&self) -> Result<(), Error> {
        let leaving = sqlx::query(
            "with gone as (delete from processes where role = $1 and process = $2)
             delete from leases where role = $1 and owner = $2",
        );
        self.tell(leaving.bind(self.role).bind(self.process)).await?;
        self.has(&BTreeSet::new(), Instant::now());
        Ok(())
    }

    /// What takes longer than a term would hold up the renewal of all else.
    async fn tell(&self, statement: Query<'_, Postgres, PgArguments>) -> Result<(), Error> {
        let telling = async {
            let mut own = self.connection.lock().await;
            let mut connection = own.take().await?;
            statement.execute(&mut connection).await?;
            own.give_back(connection);
            Ok(())
        };
        timeout(TERM, telling).await.unwrap_or(Err(Error::Silent))
    }

    /// Tells that nothing is owned any more, once what was not renewed has ended. A renewal that fails does it; so shall
    /// whoever does not even try.
    pub fn lapse(&self) {
        let until = self.had.lock().unwrap_or_else(PoisonError::into_inner).1;
        if Instant::now() >= until {
            self.has(&BTreeSet::new(), until);
        }
    }

    fn has(&self, owned: &BTreeSet<Shard>, until: Instant) {
        let mut had = self.had.lock().unwrap_or_else(PoisonError::into_inner);
        metrics::leases(self.role, &had.0, owned);
        *had = (owned.clone(), until);
    }
}
