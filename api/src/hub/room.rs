//! A conversation that someone here follows.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use axum::extract::ws::Utf8Bytes;
use domain::conversation::{Conversation, Event};
use domain::{MessageId, Tenant, UserId};
use nats::live::Delta;
use store::{Recorded, codec};
use tokio::sync::watch;
use tokio::time::Instant;

use super::ReplyRoom;
use super::live_reply::LiveReply;
use super::load::Loaded;
use super::wake::{Passing, Wake};
use crate::access::is_participant;
use crate::auth::Identity;
use crate::error::Problem;
use crate::ws::frame::{self, ServerFrame};

/// The newest events that a room holds; a socket that lacks older ones reads the log.
const MAX_EVENTS: usize = 128;
/// How many bytes of them; the newest is held whatever its size.
const MAX_EVENT_BYTES: usize = 1024 * 1024;
/// The events that may come while the room is being loaded; with more, it is loaded anew.
const MAX_EARLY: usize = 4_096;
/// For how long text gathers here for each socket that follows; where that is less than the worker gathers, nothing more does. A
/// frame costs some 10 µs of a processor to send, so a reply takes a twentieth of one, up to the longest time there is.
const GATHER_PER_FOLLOWER: Duration = Duration::from_micros(200);
/// The longest that text gathers: beyond it a reader would see it come in jerks.
const MAX_GATHER: Duration = Duration::from_millis(100);

/// Where a socket is in a room.
#[derive(Clone, Debug, Default)]
pub(crate) struct Cursor {
    /// The last sequence told.
    pub(crate) sequence: u64,
    /// How much of each running reply was told: its attempt and how many bytes.
    pub(crate) replies: BTreeMap<MessageId, (u32, usize)>,
}

/// What a room has for a cursor.
pub(crate) enum Collected {
    /// These frames, and the cursor has been moved behind them; none when it has everything.
    Frames(Vec<Utf8Bytes>),
    /// Older events than the room holds: read the log up to there.
    Behind { to: u64 },
    /// The conversation is gone, or the socket's person is no longer a participant.
    Gone,
}

pub(crate) struct Room {
    pub(crate) key: ReplyRoom,
    state: Mutex<State>,
    loaded: watch::Sender<Option<Result<(), Problem>>>,
}

#[derive(Default)]
struct State {
    tenant: Option<Tenant>,
    participants: BTreeSet<UserId>,
    gone: bool,
    /// The sequence of the last event heard.
    sequence: u64,
    events: VecDeque<(u64, Utf8Bytes)>,
    event_bytes: usize,
    replies: BTreeMap<MessageId, LiveReply>,
    /// Frames made last, by reply: sockets that are equally far get the same one.
    last_deltas: HashMap<MessageId, (u32, usize, usize, Utf8Bytes)>,
    followers: Vec<Weak<Wake>>,
    /// When the followers were last told that there is more text.
    told_of_text: Option<Instant>,
    /// Whether text gathers, of which a task tells them when its time is over.
    gathers: bool,
    /// Events that came while the room was being loaded.
    early: Vec<Recorded>,
    is_loaded: bool,
}

impl Room {
    pub(super) fn new(key: ReplyRoom) -> Self {
        Self { key, state: Mutex::default(), loaded: watch::Sender::new(None) }
    }

    /// Waits until the room has been loaded.
    pub(super) async fn ready(&self) -> Result<(), Problem> {
        let mut loaded = self.loaded.subscribe();
        let loaded = loaded.wait_for(Option::is_some).await.map_err(|_| Problem::unavailable())?;
        loaded.clone().unwrap_or_else(|| Err(Problem::unavailable()))
    }

    pub(super) fn loaded(&self, loaded: Result<Loaded, Problem>) {
        let mut state = self.state();
        let result = match loaded {
            // So much came meanwhile that some of it was not kept: the next who asks has it loaded anew.
            Ok(_) if state.gone => Err(Problem::unavailable()),
            Ok(loaded) => {
                state.begin(self.key, loaded);
                Ok(())
            }
            Err(problem) => Err(problem),
        };
        if let Err(problem) = &result {
            tracing::debug!(conversation = %self.key.conversation, code = problem.code, "a room could not be loaded");
            state.gone = true;
        }
        self.loaded.send_replace(Some(result));
    }

    /// Whether nothing more is to be had here: the next who asks gets a new room.
    pub(super) fn is_gone(&self) -> bool {
        self.state().gone
    }

    pub(crate) fn is_visible_to(&self, identity: &Identity) -> bool {
        self.state().is_visible_to(identity)
    }

    /// The sequence of the last event heard.
    pub(crate) fn sequence(&self) -> u64 {
        self.state().sequence
    }

    /// Lets a socket hear of news from here on.
    pub(crate) fn follow(&self, wake: &Arc<Wake>) {
        let mut state = self.state();
        state
            .followers
            .retain(|follower| follower.strong_count() > 0 && !std::ptr::addr_eq(follower.as_ptr(), Arc::as_ptr(wake)));
        state.followers.push(Arc::downgrade(wake));
    }

    pub(crate) fn unfollow(&self, wake: &Arc<Wake>) {
        self.state().followers.retain(|follower| !std::ptr::addr_eq(follower.as_ptr(), Arc::as_ptr(wake)));
    }

    pub(super) fn heard_event(&self, event: &Recorded) {
        let mut state = self.state();
        if !state.is_loaded {
            if state.early.len() < MAX_EARLY {
                state.early.push(event.clone());
            } else {
                state.gone = true;
            }
            return;
        }
        if state.hear(self.key, event) {
            state.ring(self.key);
        }
    }

    /// Takes a piece of a reply's text in; says whether the text before it must be fetched.
    pub(super) fn heard_delta(self: &Arc<Self>, reply: MessageId, delta: &Delta) -> bool {
        let mut state = self.state();
        // A piece may overtake the event that begins its attempt, so it is kept until then; after the reply's end it is
        // of no use. The log alone says which replies there are, so the room holds no more than may run at once.
        if state.is_loaded && !state.replies.contains_key(&reply) {
            return false;
        }
        let live = state.replies.entry(reply).or_default();
        let fetch = live.take(delta);
        if delta.thinking {
            if live.attempt == live.begun {
                // What was said before the thought is told before the sign: behind it, it would say that the thought is over.
                if state.gathers {
                    state.tell_of_text(self.key);
                }
                state.tell_of_thinking(self.key, reply, delta.attempt);
            }
        } else if !fetch {
            self.more_text(&mut state, delta.offset == 0);
        }
        fetch
    }

    /// Tells the followers that there is more text: of an attempt's first piece at once, of others when text has gathered for
    /// long enough.
    fn more_text(self: &Arc<Self>, state: &mut State, is_first: bool) {
        let followers = u32::try_from(state.followers.len()).unwrap_or(u32::MAX);
        let gather = GATHER_PER_FOLLOWER.saturating_mul(followers).min(MAX_GATHER);
        let early = state.told_of_text.and_then(|told| gather.checked_sub(told.elapsed())).unwrap_or_default();
        if is_first || early.is_zero() {
            state.tell_of_text(self.key);
        } else if !std::mem::replace(&mut state.gathers, true) {
            let room = Arc::downgrade(self);
            tokio::spawn(async move {
                tokio::time::sleep(early).await;
                let Some(room) = room.upgrade() else { return };
                let mut state = room.state();
                state.gathers = false;
                state.tell_of_text(room.key);
            });
        }
    }

    /// Takes the text so far of a reply in; says whether no more fetching is needed.
    pub(super) fn resumed(&self, reply: MessageId, whole: Option<&Delta>) -> bool {
        let mut state = self.state();
        let Some(live) = state.replies.get_mut(&reply) else { return true };
        let done = live.resume(whole);
        state.ring(self.key);
        done
    }

    /// The replies that run and of which nothing was heard since the last look: their text must be fetched.
    pub(super) fn silent_replies(&self) -> Vec<MessageId> {
        let mut state = self.state();
        let silent = |live: &mut LiveReply| live.begun > 0 && live.was_silent() && live.begin_fetching();
        state.replies.iter_mut().filter_map(|(reply, live)| silent(live).then_some(*reply)).collect()
    }

    pub(super) fn heard_typing(&self, user: &UserId) {
        let conversation = self.key.conversation;
        let Some(frame) = frame::encode(&ServerFrame::Typing { conversation, user }) else { return };
        for wake in self.state().followers.iter().filter_map(Weak::upgrade) {
            wake.say(Passing::Typing { conversation, user: user.clone(), frame: frame.clone() });
        }
    }

    /// What a cursor lacks, at most `most` events at a time, then the text of running replies.
    pub(crate) fn collect(&self, identity: &Identity, cursor: &mut Cursor, most: usize) -> Collected {
        let mut state = self.state();
        if !state.is_visible_to(identity) {
            return Collected::Gone;
        }
        let held = state.events.front().map_or(u64::MAX, |(sequence, _)| *sequence);
        if cursor.sequence < state.sequence && cursor.sequence + 1 < held {
            return Collected::Behind { to: state.sequence };
        }
        let first = state.events.partition_point(|(sequence, _)| *sequence <= cursor.sequence);
        let mut frames: Vec<Utf8Bytes> = Vec::new();
        for (sequence, event) in state.events.range(first..).take(most) {
            cursor.sequence = *sequence;
            frames.push(event.clone());
        }
        if cursor.sequence >= state.sequence {
            state.collect_text(self.key, cursor, &mut frames);
        }
        Collected::Frames(frames)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn is_visible_to(&self, identity: &Identity) -> bool {
        !self.gone && self.tenant.as_ref().is_some_and(|tenant| is_participant(identity, tenant, &self.participants))
    }

    /// Starts from what was loaded, and what came meanwhile.
    fn begin(&mut self, key: ReplyRoom, loaded: Loaded) {
        let early_text = std::mem::take(&mut self.replies);
        self.tenant = Some(loaded.tenant);
        self.participants = loaded.participants;
        self.sequence = loaded.sequence;
        for (reply, begun) in loaded.running {
            self.replies.entry(reply).or_default().begun = begun;
        }
        for event in loaded.events.iter().chain(&std::mem::take(&mut self.early)) {
            self.hear(key, event);
        }
        // Text that came early counts for the replies that run, and for no others.
        for (reply, early) in early_text {
            if let Some(live) = self.replies.get_mut(&reply) {
                let begun = live.begun;
                *live = early;
                live.begun = begun;
            }
        }
        self.is_loaded = true;
    }

    fn ring(&mut self, key: ReplyRoom) {
        self.followers.retain(|follower| follower.upgrade().map(|wake| wake.ring(key.conversation)).is_some());
    }

    fn tell_of_text(&mut self, key: ReplyRoom) {
        self.told_of_text = Some(Instant::now());
        self.ring(key);
    }

    /// Takes the next event in; says whether it was the next. The listener brings every event of the shard in order, so
    /// what is not the next is one that the room was loaded with.
    fn hear(&mut self, key: ReplyRoom, event: &Recorded) -> bool {
        if event.sequence != self.sequence + 1 {
            return false;
        }
        self.sequence = event.sequence;
        if let Some(frame) = frame::event(key.conversation, event) {
            self.event_bytes += frame.len();
            self.events.push_back((event.sequence, frame));
        }
        while self.events.len() > MAX_EVENTS || (self.event_bytes > MAX_EVENT_BYTES && self.events.len() > 1) {
            let Some((_, oldest)) = self.events.pop_front() else { break };
            self.event_bytes -= oldest.len();
        }
        match codec::decode::<Conversation>(event) {
            Ok(event) => self.apply(event),
            Err(error) => tracing::error!(%error, "an event cannot be read; it is passed on as it is"),
        }
        true
    }

    fn apply(&mut self, event: Event) {
        match event {
            Event::ConversationStarted { owner, tenant, .. } => {
                self.participants.insert(owner);
                self.tenant = Some(tenant);
            }
            Event::ParticipantAdded { user } => {
                self.participants.insert(user);
            }
            Event::ParticipantRemoved { user } => {
                self.participants.remove(&user);
            }
            Event::ReplyRequested { reply, .. } => {
                self.replies.entry(reply).or_default();
            }
            Event::ReplyAttemptStarted { reply, attempt, .. } => self.replies.entry(reply).or_default().begun = attempt,
            Event::ReplyCompleted { reply, .. }
            | Event::ReplyStopped { reply, .. }
            | Event::ReplyFailed { reply, .. } => {
                self.replies.remove(&reply);
                self.last_deltas.remove(&reply);
            }
            Event::ConversationDeleted {} => self.gone = true,
            _ => {}
        }
    }

    /// Passes on that the model thinks; lost on a socket that is busy, as the next one comes soon.
    fn tell_of_thinking(&self, key: ReplyRoom, reply: MessageId, attempt: u32) {
        let conversation = key.conversation;
        let sign = ServerFrame::Delta { conversation, reply, attempt, offset: 0, text: "", thinking: Some(true) };
        let Some(frame) = frame::encode(&sign) else { return };
        for wake in self.followers.iter().filter_map(Weak::upgrade) {
            wake.say(Passing::Thinking { conversation, sequence: self.sequence, frame: frame.clone() });
        }
    }

    fn collect_text(&mut self, key: ReplyRoom, cursor: &mut Cursor, frames: &mut Vec<Utf8Bytes>) {
        cursor.replies.retain(|reply, _| self.replies.contains_key(reply));
        for (reply, live) in &self.replies {
            if live.attempt == 0 || live.attempt != live.begun {
                continue;
            }
            let (attempt, told) = cursor.replies.get(reply).copied().unwrap_or_default();
            let to = live.text.len();
            // A client may be further than this edge, which joined later: it lacks nothing yet. A length within a
            // character never was: then it gets the text from its start.
            let from = match attempt == live.attempt {
                true if told >= to => continue,
                true if live.text.is_char_boundary(told) => told,
                _ => 0,
            };
            if from == to {
                continue;
            }
            let frame = match self.last_deltas.get(reply) {
                Some((of, start, end, frame)) if (*of, *start, *end) == (live.attempt, from, to) => Some(frame.clone()),
                _ => frame::encode(&ServerFrame::Delta {
                    conversation: key.conversation,
                    reply: *reply,
                    attempt: live.attempt,
                    offset: from,
                    text: &live.text[from..],
                    thinking: None,
                }),
            };
            if let Some(frame) = frame {
                self.last_deltas.insert(*reply, (live.attempt, from, to, frame.clone()));
                frames.push(frame);
            }
            cursor.replies.insert(*reply, (live.attempt, to));
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;
    use uuid::Uuid;

    use super::super::wake::News;
    use super::*;

    const DEADLINE: Duration = Duration::from_secs(10);
    const PIECES: usize = 1_000;

    fn piece(attempt: u32, number: usize) -> Delta {
        Delta { attempt, offset: 4 * number, text: "text".to_owned(), thinking: false }
    }

    /// A room whose text gathers for as long as it may.
    fn crowded() -> (Arc<Room>, MessageId, Vec<Arc<Wake>>) {
        let key = ReplyRoom { shard: 0, conversation: domain::ConversationId(Uuid::new_v4()) };
        let (room, reply) = (Arc::new(Room::new(key)), MessageId(Uuid::new_v4()));
        room.loaded(Ok(Loaded {
            tenant: "acme".parse().unwrap(),
            participants: BTreeSet::new(),
            sequence: 3,
            events: Vec::new(),
            running: [(reply, 1)].into(),
        }));
        let wakes: Vec<_> = (0..600).map(|_| Arc::<Wake>::default()).collect();
        for wake in &wakes {
            room.follow(wake);
        }
        (room, reply, wakes)
    }

    #[tokio::test]
    async fn the_more_there_are_to_tell_the_longer_text_gathers_but_for_the_first_piece_of_an_attempt() {
        let (room, reply, wakes) = crowded();
        let told = || wakes.iter().filter(|wake| wake.news().now_or_never().is_some()).count();
        for attempt in 1..=2 {
            told();
            room.heard_delta(reply, &piece(attempt, 0));
            assert_eq!(told(), wakes.len(), "the first piece of attempt {attempt}");
            // Nothing is awaited here, so the task that tells later has no turn; the processor may stand still, though.
            let at_once = (1..PIECES).filter(|number| {
                room.heard_delta(reply, &piece(attempt, *number));
                wakes[0].news().now_or_never().is_some()
            });
            let at_once = at_once.count();
            assert!(at_once < PIECES / 10, "{at_once} of {PIECES} were told of alone");
            for wake in &wakes[1..] {
                tokio::time::timeout(DEADLINE, wake.news()).await.expect("all are told in the end");
            }
        }
    }

    #[tokio::test]
    async fn text_that_gathers_is_told_before_the_sign_that_the_model_thinks() {
        let (room, reply, wakes) = crowded();
        room.heard_delta(reply, &piece(1, 0));
        while wakes[0].news().now_or_never().is_some() {}
        while !room.state().gathers {
            let said = room.state().replies[&reply].text.len();
            room.heard_delta(reply, &piece(1, said / 4));
            while wakes[0].news().now_or_never().is_some() {}
        }
        room.heard_delta(reply, &Delta { text: String::new(), thinking: true, ..piece(1, 0) });
        let heard = || wakes[0].news().now_or_never();
        assert!(matches!(heard(), Some(News::Of(_))));
        assert!(matches!(heard(), Some(News::Passing(Passing::Thinking { .. }))));
    }
}
