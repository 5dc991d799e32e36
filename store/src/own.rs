//! A connection that is shared with nobody.
//!
//! What others leave behind on a connection, such as an open transaction or a lock, can have no part in what is done over
//! this one; and it need not be waited for when a pool is busy.

use sqlx::{PgConnection, PgPool};

#[derive(Debug)]
pub(crate) struct Own {
    /// Makes connections, and keeps none.
    fresh: PgPool,
    connection: Option<PgConnection>,
}

impl Own {
    /// Made like those of `pool`, when it is needed.
    pub(crate) fn like(pool: &PgPool) -> Self {
        let options = pool.options().clone().min_connections(0).max_connections(1);
        Self { fresh: options.connect_lazy_with(pool.connect_options().as_ref().clone()), connection: None }
    }

    /// Has it stand before it is needed.
    pub(crate) async fn stand(&mut self) {
        if let Ok(connection) = self.take().await {
            self.give_back(connection);
        }
    }

    /// Takes the connection, to be given back once it has answered: one that has not, or was dropped over it, is closed.
    pub(crate) async fn take(&mut self) -> Result<PgConnection, sqlx::Error> {
        match self.connection.take() {
            Some(connection) => Ok(connection),
            None => Ok(self.fresh.acquire().await?.detach()),
        }
    }

    /// Gives it back.
    pub(crate) fn give_back(&mut self, connection: PgConnection) {
        self.connection = Some(connection);
    }
}
