//! `bestchat dead-letters`.

use sqlx::PgPool;
use store::{Position, dead_letter};

use crate::cli;
use crate::wire::Error;

/// Prints every parked event.
pub(crate) async fn list(pool: &PgPool) -> Result<(), Error> {
    let parked = dead_letter::list(pool).await?;
    if parked.is_empty() {
        return cli::print("Nothing is parked.");
    }
    for letter in parked {
        let waiting = if letter.retry_at.is_some() { ", waits for its retry" } else { "" };
        cli::print(&format!(
            "{} {}  {} {} event {} ({}), parked {}{waiting}\n    {}",
            letter.consumer,
            letter.position,
            letter.aggregate_type,
            letter.aggregate_id,
            letter.sequence,
            letter.event_type,
            letter.parked_at.to_rfc3339_opts(chrono::SecondsFormat::Secs, true),
            letter.error
        ))?;
    }
    cli::print("Retry one: bestchat dead-letters --retry CONSUMER POSITION")
}

/// Has one retried by its consumer.
pub(crate) async fn retry(pool: &PgPool, consumer: &str, position: Position) -> Result<(), Error> {
    if dead_letter::ask_retry(pool, consumer, position).await? {
        cli::print("It will be retried within a second or two; if it fails again, it is listed again.")
    } else {
        Err(Error::other(format!("nothing of {consumer} is parked at {position}")))
    }
}
