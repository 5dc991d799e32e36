//! What can go wrong between us and Postgres.

/// A failure of the store; never a refusal of a command.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Postgres refused, or could not be reached.
    #[error("database: {0}")]
    Database(#[from] sqlx::Error),
    /// Postgres did not answer in time.
    #[error("the database did not answer in time")]
    Silent,
    /// Events between a reader's checkpoint and its batch are missing: it must begin again at the checkpoint, which stands
    /// further back than it did when Postgres has lost what it had not flushed.
    #[error("the checkpoint stands at {checkpoint}, the batch begins at {begins}")]
    Gap {
        /// The position that the reader has taken in.
        checkpoint: u64,
        /// The position of the first event of the batch.
        begins: u64,
    },
    /// The migrations could not be run.
    #[error("migration: {0}")]
    Migration(#[from] sqlx::migrate::MigrateError),
    /// A stored event cannot be read.
    #[error("event {sequence} ({event_type}) of {aggregate_id} cannot be read: {reason}")]
    Undecodable {
        /// The aggregate.
        aggregate_id: String,
        /// The event's sequence.
        sequence: u64,
        /// The event's type as stored.
        event_type: String,
        /// Why.
        reason: String,
    },
    /// A payload cannot be stored.
    #[error("an event cannot be stored: {0}")]
    Unencodable(String),
    /// The database has another number of shards than asked for.
    #[error("this database was created with {actual} shards, which cannot change; {asked} were asked for")]
    ShardCount {
        /// As asked for.
        asked: u16,
        /// As created.
        actual: u16,
    },
    /// The database has not been migrated.
    #[error("this database holds no BestChat: run `bestchat migrate` first")]
    NotMigrated,
}
