//! The text of an attempt on its way to those who listen: the first piece at once, then what has gathered over a short
//! time, and now and then the whole for those who join.

use std::borrow::Cow;
use std::time::Duration;

use nats::live::{self, Delta, Kept, ReplyKey};
use tokio::time::Instant;

/// Over what time pieces are gathered into one.
const GATHER: Duration = Duration::from_millis(20);
/// How often the whole text is kept for those who join.
const KEEP_EVERY: Duration = Duration::from_millis(250);
/// How often listeners are told that the model thinks, while it does.
const SIGN_EVERY: Duration = Duration::from_secs(1);
/// For how long nothing may come before the first word until listeners are told the same: some think without saying so.
const QUIET: Duration = Duration::from_secs(2);

pub(super) struct LiveText {
    client: nats::Client,
    key: ReplyKey,
    attempt: u32,
    text: String,
    /// Whether the model has said nothing but this.
    only_text: bool,
    /// How many bytes have been published.
    published: usize,
    /// How many bytes the whole that was kept last had; none before the first.
    kept: Option<usize>,
    last_publish: Option<Instant>,
    last_keep: Option<Instant>,
    last_sign: Option<Instant>,
    /// When nobody had heard anything yet.
    began: Instant,
}

impl LiveText {
    pub(super) fn new(client: nats::Client, key: ReplyKey, attempt: u32) -> Self {
        Self {
            client,
            key,
            attempt,
            text: String::new(),
            only_text: true,
            published: 0,
            kept: None,
            last_publish: None,
            last_keep: None,
            last_sign: None,
            began: Instant::now(),
        }
    }

    /// Adds a piece; the very first is published at once.
    pub(super) async fn push(&mut self, piece: &str) {
        self.text.push_str(&storable(piece));
        if self.last_publish.is_none_or(|last| last.elapsed() >= GATHER) {
            self.publish().await;
        }
    }

    /// The model does something that is no text and not told live.
    pub(super) fn does_more(&mut self) {
        self.only_text = false;
    }

    /// The model thinks: says so, but not too often. What it thinks is not told live.
    pub(super) async fn think(&mut self) {
        self.does_more();
        if self.last_sign.is_some_and(|last| last.elapsed() < SIGN_EVERY) {
            return;
        }
        // In front of the sign, since text behind it would say that the thought is over.
        self.publish().await;
        self.give_sign().await;
    }

    async fn give_sign(&mut self) {
        let sign = Delta { attempt: self.attempt, offset: 0, text: String::new(), thinking: true };
        if let Err(error) = live::publish(&self.client, self.key, &sign).await {
            tracing::debug!(%error, "a sign of life was not sent");
        }
        self.last_sign = Some(Instant::now());
    }

    /// When [`Self::act`] is due; none when there is nothing to tell or to keep.
    pub(super) fn due(&self) -> Option<Instant> {
        let publish = self.last_publish.filter(|_| self.published < self.text.len()).map(|last| last + GATHER);
        // Also when the model says nothing for a while: who joins then must find all that was said.
        let keep = self.last_keep.filter(|_| self.kept != Some(self.text.len())).map(|last| last + KEEP_EVERY);
        publish.into_iter().chain(keep).chain(self.sign_due()).min()
    }

    /// When listeners who have heard no word are told that somebody is at it.
    fn sign_due(&self) -> Option<Instant> {
        let is_silent = self.last_publish.is_none();
        is_silent.then(|| (self.began + QUIET).max(self.last_sign.map_or(self.began, |last| last + SIGN_EVERY)))
    }

    /// Does what is due.
    pub(super) async fn act(&mut self) {
        if self.sign_due().is_some_and(|due| due <= Instant::now()) {
            self.give_sign().await;
        }
        self.publish().await;
    }

    /// Publishes what has gathered, and keeps the whole when that is due. A failure is left to the next one: a listener finds the gap by its offset.
    pub(super) async fn publish(&mut self) {
        if self.published < self.text.len() {
            let text = self.text[self.published..].to_owned();
            let delta = Delta { attempt: self.attempt, offset: self.published, text, thinking: false };
            if let Err(error) = live::publish(&self.client, self.key, &delta).await {
                tracing::debug!(%error, "live text was not sent");
            }
            self.published = self.text.len();
            self.last_publish = Some(Instant::now());
            // Lets the bus's task send it before anything else is done here.
            tokio::task::yield_now().await;
        }
        let changed = self.kept != Some(self.text.len());
        if changed && self.last_keep.is_none_or(|last| last.elapsed() >= KEEP_EVERY) {
            self.keep().await;
        }
    }

    /// Keeps the whole text so far for those who join.
    pub(super) async fn keep(&mut self) {
        let whole = Delta { attempt: self.attempt, offset: 0, text: self.text.clone(), thinking: false };
        let kept = Kept { whole, only_text: self.only_text };
        if let Err(error) = live::keep(&self.client, self.key, &kept).await {
            tracing::debug!(%error, "live text was not kept");
        }
        self.kept = Some(self.text.len());
        self.last_keep = Some(Instant::now());
    }
}

/// Postgres cannot store U+0000, and what is shown live must be what is stored in the end.
fn storable(piece: &str) -> Cow<'_, str> {
    if piece.contains('\0') { Cow::Owned(piece.replace('\0', "\u{fffd}")) } else { Cow::Borrowed(piece) }
}
