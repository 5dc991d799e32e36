//! Reading one's own writes: waiting until a view has taken in a position.

use std::time::Duration;

use sqlx::PgPool;
use store::{Position, checkpoint};
use tokio::time::Instant;

/// How long to wait at most.
pub const DEADLINE: Duration = Duration::from_secs(5);
/// The pauses between looks grow up to this.
const MAX_PAUSE: Duration = Duration::from_millis(50);

/// Waits until the view `name` has taken in `position`; says whether it has, within [`DEADLINE`].
///
/// # Errors
/// When Postgres does not answer.
pub async fn until(pool: &PgPool, name: &str, position: Position) -> Result<bool, store::Error> {
    let deadline = Instant::now() + DEADLINE;
    let mut pause = Duration::from_millis(2);
    while checkpoint::read(pool, name, position.shard).await? < position.pos {
        if Instant::now() >= deadline {
            return Ok(false);
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(MAX_PAUSE);
    }
    Ok(true)
}
