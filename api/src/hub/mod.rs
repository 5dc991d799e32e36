//! What the clients of this edge follow: a room for each conversation that someone here follows, fed by one listener a
//! shard, and the people whose lists are shown.
//!
//! Nothing is queued for a socket. A room holds the newest events and the whole text of running replies; a socket holds a
//! cursor into each room that it follows and is told that there is something new. However slow it is, it costs no more
//! than that, and what it then gets is one merged piece of text and the events that it lacks.

mod listener;
mod live_reply;
mod load;
mod room;
mod wake;

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use axum::extract::ws::Utf8Bytes;
use domain::{ConversationId, Shard, Tenant, UserId, conversation, shard_of};
use nats::live::{self, Delta, ReplyKey};
use nats::signal::Heard;
use sqlx::PgPool;
use store::Recorded;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::error::Problem;
pub(crate) use room::{Collected, Cursor, Room};
pub(crate) use wake::{News, Passing, Wake};

/// How long loading a room may take.
const LOAD_DEADLINE: Duration = Duration::from_secs(8);
/// The pause between two looks for the text so far of a reply: as often as the worker keeps it.
const RESUME_PAUSE: Duration = Duration::from_millis(250);

#[derive(Clone)]
pub(crate) struct Hub(Arc<Inner>);

struct Inner {
    pool: PgPool,
    client: nats::Client,
    shards: Shard,
    stopping: CancellationToken,
    rooms: Mutex<Rooms>,
    people: Mutex<HashMap<String, Vec<Weak<Wake>>>>,
    listening: tokio::sync::Mutex<HashSet<Shard>>,
}

/// The rooms that someone holds, and the names of some that nobody does any more.
#[derive(Default)]
struct Rooms {
    by_id: HashMap<ConversationId, Weak<Room>>,
    /// With how many the names without a room are thrown out: twice what was left then.
    sweep_at: usize,
}

impl Rooms {
    /// The room of a conversation, and whether it is new.
    fn enter(&mut self, key: ReplyRoom) -> (Arc<Room>, bool) {
        if let Some(room) = self.by_id.get(&key.conversation).and_then(Weak::upgrade) {
            return (room, false);
        }
        if self.by_id.len() >= self.sweep_at {
            self.by_id.retain(|_, room| room.strong_count() > 0);
            self.sweep_at = (2 * self.by_id.len()).max(64);
        }
        let room = Arc::new(Room::new(key));
        self.by_id.insert(key.conversation, Arc::downgrade(&room));
        (room, true)
    }
}

impl Hub {
    pub(crate) fn new(pool: PgPool, client: nats::Client, shards: Shard, stopping: CancellationToken) -> Self {
        let (rooms, people, listening) = Default::default();
        let hub = Self(Arc::new(Inner { pool, client, shards, stopping, rooms, people, listening }));
        tokio::spawn(listener::listen_to_lists(hub.clone()));
        tokio::spawn(listener::look_at_the_silent(hub.clone()));
        hub
    }

    /// The room of a conversation, as its log stands.
    pub(crate) async fn room(&self, id: ConversationId) -> Result<Arc<Room>, Problem> {
        let shard = shard_of(&id.to_string(), self.0.shards);
        self.listen_to(shard).await?;
        let (room, new) = self.rooms().enter(ReplyRoom { shard, conversation: id });
        if new {
            // In a task of its own: whoever asked first may go away while others wait for it too.
            tokio::spawn(self.clone().load(Arc::clone(&room)));
        }
        room.ready().await?;
        Ok(room)
    }

    async fn load(self, room: Arc<Room>) {
        let loading = load::load(&self.0.pool, room.key.shard, room.key.conversation);
        let loaded = timeout(LOAD_DEADLINE, loading).await.unwrap_or_else(|_| Err(Problem::unavailable()));
        room.loaded(loaded);
        self.resume_all(&room);
    }

    /// Lets a socket hear of changes in a person's list.
    pub(crate) fn follow_list(&self, tenant: &Tenant, user: &UserId, wake: &Arc<Wake>) {
        let mut people = self.people();
        let wakes = people.entry(nats::subject::list_key(tenant, user)).or_default();
        wakes.retain(|wake| wake.strong_count() > 0);
        wakes.push(Arc::downgrade(wake));
    }

    /// Lets a socket hear of them no more.
    pub(crate) fn unfollow_list(&self, tenant: &Tenant, user: &UserId, wake: &Arc<Wake>) {
        let mut people = self.people();
        let key = nats::subject::list_key(tenant, user);
        let Some(wakes) = people.get_mut(&key) else { return };
        wakes.retain(|known| known.strong_count() > 0 && !std::ptr::addr_eq(known.as_ptr(), Arc::as_ptr(wake)));
        if wakes.is_empty() {
            people.remove(&key);
        }
    }

    /// How many conversations are followed here, and by how many people lists are.
    pub(crate) fn held(&self) -> (usize, usize) {
        let rooms = self.rooms().by_id.values().filter(|room| room.strong_count() > 0).count();
        (rooms, self.people().len())
    }

    fn heard_event(&self, event: &Recorded) {
        // The id alone does not say: a conversation may have been given the id of someone's account.
        if event.aggregate_type != conversation::TYPE {
            return;
        }
        let Ok(id) = event.aggregate_id.parse() else { return };
        let Some(room) = self.find(id) else { return };
        room.heard_event(event);
        if room.is_gone() {
            self.rooms().by_id.remove(&id);
        }
    }

    fn heard(&self, heard: Heard) {
        match heard {
            Heard::Delta(conversation, reply, delta) => {
                let Some(room) = self.find(conversation) else { return };
                if room.heard_delta(reply, &delta) {
                    self.resume(&room, reply);
                }
            }
            Heard::Typing(conversation, typing) => {
                if let Some(room) = self.find(conversation) {
                    room.heard_typing(&typing.user);
                }
            }
        }
    }

    fn heard_list_change(&self, key: &str, frame: &Utf8Bytes) {
        let mut people = self.people();
        let Some(wakes) = people.get_mut(key) else { return };
        wakes.retain(|wake| wake.upgrade().map(|wake| wake.say(Passing::Personal(frame.clone()))).is_some());
        if wakes.is_empty() {
            people.remove(key);
        }
    }

    /// Fetches the text so far of every reply that runs in a room and of which nothing is heard.
    fn resume_all(&self, room: &Arc<Room>) {
        for reply in room.silent_replies() {
            self.resume(room, reply);
        }
    }

    /// Fetches the text so far of a reply whose beginning was missed, again until it joins what was heard since.
    fn resume(&self, room: &Arc<Room>, reply: domain::MessageId) {
        let (client, room) = (self.0.client.clone(), Arc::downgrade(room));
        tokio::spawn(async move {
            while let Some(room) = room.upgrade() {
                let key = ReplyKey { shard: room.key.shard, conversation: room.key.conversation, reply };
                let whole: Option<Delta> = live::resume(&client, key).await.ok().flatten();
                if room.resumed(reply, whole.as_ref()) {
                    return;
                }
                drop(room);
                tokio::time::sleep(RESUME_PAUSE).await;
            }
        });
    }

    fn held_rooms(&self) -> Vec<Arc<Room>> {
        self.rooms().by_id.values().filter_map(Weak::upgrade).collect()
    }

    fn find(&self, id: ConversationId) -> Option<Arc<Room>> {
        self.rooms().by_id.get(&id).and_then(Weak::upgrade)
    }

    fn rooms(&self) -> MutexGuard<'_, Rooms> {
        self.0.rooms.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn people(&self) -> MutexGuard<'_, HashMap<String, Vec<Weak<Wake>>>> {
        self.0.people.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Which conversation a room is of.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ReplyRoom {
    pub(crate) shard: Shard,
    pub(crate) conversation: ConversationId,
}
