//! The `projector` role: keeps the views. Processes share the shards by leases; the lock on a checkpoint, not the lease,
//! is what keeps two from taking the same event in twice.

use std::collections::BTreeMap;
use std::time::Duration;

use domain::Shard;
use nats::tail::Tail;
use sqlx::PgPool;
use store::Recorded;
use store::lease::{Leases, RENEW_EVERY};
use tokio::sync::watch;
use tokio_util::sync::{CancellationToken, DropGuard};
use uuid::Uuid;

use crate::account::Account;
use crate::conversation_list::ConversationList;
use crate::projection::{News, Projection, begin, pass_over, take_in};
use crate::retry::retry;
use crate::transcript::Transcript;
use crate::usage::Spending;

/// The pause after a failure.
const RETRY_PAUSE: Duration = Duration::from_millis(500);
/// How long events gather before the next batch is taken in: a batch costs Postgres about the same whatever it holds, and a
/// view that is this much older serves nobody worse.
const GATHER: Duration = Duration::from_millis(20);
/// How often retries that a person has asked for are looked for.
const RETRY_EVERY: Duration = Duration::from_secs(1);

/// What the role works with.
#[derive(Clone, Debug)]
pub struct Projector {
    /// Postgres, as a projector.
    pub pool: PgPool,
    /// NATS, inside CORE.
    pub client: nats::Client,
    /// This process.
    pub process: Uuid,
}

impl Projector {
    /// Projects its share of the shards until cancelled. `ready` is told once it has its part in sharing them out, however small.
    pub async fn run(self, ready: watch::Sender<bool>, cancelled: CancellationToken) {
        let leases = Leases::new(&self.pool, "projector", self.process);
        let mut following: BTreeMap<Shard, DropGuard> = BTreeMap::new();
        let mut tick = tokio::time::interval(RENEW_EVERY);
        loop {
            tokio::select! {
                () = cancelled.cancelled() => break,
                _ = tick.tick() => {}
            }
            let owned = match leases.renew().await {
                Ok(owned) => owned,
                Err(error) => {
                    tracing::warn!(%error, "the leases could not be renewed");
                    continue;
                }
            };
            following.retain(|shard, _| owned.keep.contains(shard));
            if let Err(error) = leases.release(&owned.give_up).await {
                tracing::warn!(%error, "shards given up end by themselves");
            }
            for shard in owned.keep {
                following.entry(shard).or_insert_with(|| self.follow(shard));
            }
            ready.send_replace(true);
        }
        drop(following);
        if let Err(error) = leases.leave().await {
            tracing::warn!(%error, "the leases end by themselves");
        }
    }

    fn follow(&self, shard: Shard) -> DropGuard {
        let cancelled = CancellationToken::new();
        for follower in [
            Follower::of::<ConversationList>(self, shard),
            Follower::of::<Transcript>(self, shard),
            Follower::of::<Account>(self, shard),
            Follower::of::<Spending>(self, shard),
        ] {
            let cancelled = cancelled.clone();
            tokio::spawn(async move {
                tokio::select! {
                    () = cancelled.cancelled() => {}
                    () = follower => {}
                }
            });
        }
        cancelled.drop_guard()
    }
}

/// One view's reader of one shard.
struct Follower {
    projector: Projector,
    shard: Shard,
}

impl Follower {
    fn of<P: Projection + 'static>(projector: &Projector, shard: Shard) -> futures::future::BoxFuture<'static, ()> {
        let follower = Self { projector: projector.clone(), shard };
        Box::pin(async move {
            tokio::join!(follower.follow::<P>(), follower.retry::<P>());
        })
    }

    async fn follow<P: Projection>(&self) {
        loop {
            if let Err(error) = self.follow_from_checkpoint::<P>().await {
                tracing::warn!(projection = P::NAME, shard = self.shard, error, "the projection starts over");
            }
            tokio::time::sleep(RETRY_PAUSE).await;
        }
    }

    async fn follow_from_checkpoint<P: Projection>(&self) -> Result<(), String> {
        let Projector { pool, client, .. } = &self.projector;
        let after = store::checkpoint::read(pool, P::NAME, self.shard).await.map_err(|e| e.to_string())?;
        let tail = Tail::start(client.clone(), pool.clone(), self.shard, after).await.map_err(|e| e.to_string())?;
        let mut tail = tail.gathering(GATHER);
        loop {
            let batch = tail.next().await.map_err(|e| e.to_string())?;
            let news = self.take_in::<P>(&batch).await.map_err(|e| e.to_string())?;
            self.tell(news).await;
        }
    }

    async fn take_in<P: Projection>(&self, batch: &[Recorded]) -> Result<Vec<News>, store::Error> {
        if pass_over::<P>(&self.projector.pool, self.shard, batch).await? {
            return Ok(Vec::new());
        }
        let mut tx = begin(&self.projector.pool, P::NAME).await?;
        let news = take_in::<P>(&mut tx, P::NAME, self.shard, batch).await?;
        tx.commit().await?;
        Ok(news)
    }

    /// Tells people's clients; what is lost, they find when they read their list.
    async fn tell(&self, news: Vec<News>) {
        for News { tenant, user, change } in news {
            if let Err(error) = nats::signal::list_changed(&self.projector.client, &tenant, &user, &change).await {
                tracing::debug!(%error, "a changed list was not told");
            }
        }
    }

    async fn retry<P: Projection>(&self) {
        loop {
            tokio::time::sleep(RETRY_EVERY).await;
            if let Err(error) = retry::<P>(&self.projector.pool, self.shard).await {
                tracing::warn!(projection = P::NAME, shard = self.shard, %error, "a retry failed");
            }
        }
    }
}
