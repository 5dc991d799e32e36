//! The lease of an attempt: as long as it is renewed, nobody else takes the reply over.

use std::time::Duration;

use super::{Attempt, Ended};
use crate::open_replies::{self, OpenReply, Standing};
use crate::reply::ATTEMPT_LEASE;

/// How often the lease is renewed.
const RENEW_EVERY: Duration = Duration::from_millis(2_500);

impl Attempt<'_> {
    /// Renews the lease until it tells that the attempt is over.
    pub(super) async fn keep_lease(&self) -> Ended {
        let mut known = false;
        loop {
            tokio::time::sleep(RENEW_EVERY).await;
            match self.renew().await {
                Some(Standing::Running) => known = true,
                Some(Standing::Stopping) => return Ended::Stopped,
                Some(Standing::Superseded) => return Ended::Superseded,
                // Its conversation was deleted, or the reaper was quicker.
                Some(Standing::Unknown) if known => return Ended::Superseded,
                Some(Standing::Unknown) | None => {}
            }
        }
    }

    pub(super) async fn renew(&self) -> Option<Standing> {
        let open = OpenReply { conversation: self.conversation, reply: self.reply, attempt: self.number };
        match open_replies::renew(&self.worker.replies.pool, open, ATTEMPT_LEASE).await {
            Ok(standing) => Some(standing),
            Err(error) => {
                tracing::warn!(reply = %self.reply, %error, "an attempt's lease could not be renewed");
                None
            }
        }
    }
}
