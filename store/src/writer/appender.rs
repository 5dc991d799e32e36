//! A writer's own connection to the log.
//!
//! It is shared with nobody, so that nothing that others leave behind on a connection, such as an open transaction or a
//! lock, can have part in what is acknowledged.

use domain::Shard;
use sqlx::{PgConnection, PgPool};

use crate::Recorded;
use crate::append::{AppendError, NewEvent, append};

pub(super) struct Appender {
    /// Makes connections, and keeps none.
    fresh: PgPool,
    connection: Option<PgConnection>,
}

impl Appender {
    /// With connections made like those of `pool`.
    pub(super) fn new(pool: &PgPool) -> Self {
        let options = pool.options().clone().min_connections(0).max_connections(1);
        Self { fresh: options.connect_lazy_with(pool.connect_options().as_ref().clone()), connection: None }
    }

    /// Appends events behind `head`. Dropped before it is through, it closes its connection.
    pub(super) async fn append(
        &mut self,
        shard: Shard,
        head: u64,
        events: Vec<NewEvent>,
    ) -> Result<Vec<Recorded>, AppendError> {
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => self.fresh.acquire().await.map_err(AppendError::Unknown)?.detach(),
        };
        let appended = append(&mut connection, shard, head, events).await;
        // One that did not answer may be broken.
        if !matches!(appended, Err(AppendError::Unknown(_))) {
            self.connection = Some(connection);
        }
        appended
    }
}
