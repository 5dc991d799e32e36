//! One client: a browser's tab, say.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use fastrand::Rng;
use serde_json::{Value, json};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, timeout};
use uuid::Uuid;

use super::follow::Follow;
use super::ideas::{self, Idea};
use super::outbox::Outbox;
use super::socket::{Ended, Socket};
use super::{Group, Phase, Standing};
use crate::chaos::history::{Absence, Ledger, Told};
use crate::chaos::{Clock, locked};
use crate::{Error, login};

/// How often a client looks what there is to do.
const TICK: Duration = Duration::from_millis(25);
/// The pause between two of a client's ideas, in milliseconds.
const THINKS_MS: std::ops::Range<u64> = 150..1_200;
/// The pause before a client reconnects, in milliseconds.
const RECONNECTS_MS: std::ops::Range<u64> = 10..500;
/// How often it asks whether the connection still stands, and how long it believes so without a word.
const PING_EVERY: Duration = Duration::from_secs(1);
const SILENCE: Duration = Duration::from_secs(4);
/// How many commands may be without an answer before it waits.
const MAX_PENDING: usize = 4;
/// Of ten commands, so many are also sent through the other edge.
const TWICE: u32 = 2;
/// How much later the command itself is sent, in milliseconds: about what the copy takes to open its socket, so that now the
/// one comes first and now the other.
const HEAD_START_MS: std::ops::Range<u64> = 0..60;
/// How long the copy sent through the other edge is waited for.
const TWICE_DEADLINE: Duration = Duration::from_secs(15);
/// How long ago a command was acknowledged that is sent again, in milliseconds: no refusal is on its way any more that was
/// given before it happened.
const AGAIN_AFTER: u64 = 20_000;
/// After so many commands the group begins another conversation.
const NEW_CONVERSATION_AFTER: usize = 40;

/// Who a client is.
pub(super) struct Persona {
    pub(super) name: String,
    pub(super) user: String,
    /// Whom it lets into the conversations that it begins.
    pub(super) guest: String,
    /// Whether it begins conversations.
    pub(super) begins: bool,
}

/// What a client has in common with others.
pub(super) struct Shared {
    pub(super) group: Group,
    pub(super) standing: Arc<Mutex<Standing>>,
    pub(super) clock: Clock,
}

pub(super) struct Client {
    persona: Persona,
    token: String,
    edges: Vec<SocketAddr>,
    shared: Shared,
    rng: Rng,
    outbox: Outbox,
    follows: BTreeMap<String, Follow>,
    told: BTreeMap<String, Vec<Told>>,
    listed: BTreeSet<String>,
    absences: Vec<Absence>,
    strays: Vec<String>,
    connection: u32,
    next_idea: Instant,
    copies: (mpsc::Sender<Value>, mpsc::Receiver<Value>),
    copying: JoinSet<()>,
}

impl Client {
    pub(super) fn new(persona: Persona, edges: Vec<SocketAddr>, shared: Shared, rng: Rng) -> Result<Self, Error> {
        Ok(Self {
            token: login::token(&persona.user)?,
            outbox: Outbox::new(&persona.user, shared.clock),
            persona,
            edges,
            shared,
            rng,
            follows: BTreeMap::new(),
            told: BTreeMap::new(),
            listed: BTreeSet::new(),
            absences: Vec::new(),
            strays: Vec::new(),
            connection: 0,
            next_idea: Instant::now(),
            copies: mpsc::channel(MAX_PENDING),
            copying: JoinSet::new(),
        })
    }

    /// Lives until told to leave; gives what it remembers.
    pub(super) async fn run(mut self, phase: watch::Receiver<Phase>) -> Ledger {
        let mut leaving = phase.clone();
        tokio::select! {
            _ = leaving.wait_for(|phase| *phase == Phase::Done) => {}
            () = self.live(&phase) => {}
        }
        let conversations: Vec<String> = self.follows.keys().cloned().collect();
        for conversation in &conversations {
            self.came_back(conversation);
        }
        let Self { persona, outbox, told, listed, absences, strays, .. } = self;
        let Persona { name: client, user, .. } = persona;
        Ledger { client, user, commands: outbox.commands, told, listed, absences, strays }
    }

    async fn live(&mut self, phase: &watch::Receiver<Phase>) {
        loop {
            // To another edge each time: the last one may be frozen.
            let edge = self.edges[self.connection as usize % self.edges.len()];
            self.connection += 1;
            if let Ok(mut socket) = Socket::open(edge, &self.token).await {
                self.outbox.reconnected();
                self.follows.values_mut().for_each(Follow::reconnected);
                let Ended = self.talk(&mut socket, phase).await;
                let now = self.shared.clock.now();
                self.follows.values_mut().for_each(|follow| follow.disconnected(now));
            }
            sleep(Duration::from_millis(self.rng.u64(RECONNECTS_MS))).await;
        }
    }

    async fn talk(&mut self, socket: &mut Socket, phase: &watch::Receiver<Phase>) -> Ended {
        let mut tick = interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (mut heard, mut pinged) = (Instant::now(), Instant::now());
        loop {
            let done = tokio::select! {
                frame = socket.next() => frame.map(|frame| {
                    heard = Instant::now();
                    self.take(&frame);
                }),
                Some(answer) = self.copies.1.recv() => {
                    self.answered(&answer);
                    Ok(())
                }
                _ = tick.tick() => {
                    if heard.elapsed() > SILENCE {
                        return Ended;
                    }
                    let ping = pinged.elapsed() > PING_EVERY;
                    if ping {
                        pinged = Instant::now();
                    }
                    let phase = *phase.borrow();
                    self.act(socket, phase, ping).await
                }
            };
            if let Err(ended) = done {
                return ended;
            }
        }
    }

    fn take(&mut self, frame: &Value) {
        match frame["type"].as_str() {
            Some("ack") => self.answered(frame),
            Some("refused") if !frame["id"].is_null() => self.answered(frame),
            Some("conversation_changed") => {
                // Null: it left the list, or was never in it.
                if let (Some(id), false) = (frame["id"].as_str(), frame["conversation"].is_null()) {
                    self.listed.insert(id.to_owned());
                }
            }
            _ => self.told(frame),
        }
    }

    fn told(&mut self, frame: &Value) {
        let Some(id) = frame["conversation"].as_str().map(ToOwned::to_owned) else { return };
        let Some(follow) = self.follows.get_mut(&id) else {
            return self.strays.push(format!("{} of {id}", frame["type"]));
        };
        if frame["type"] == "refused" || frame["type"] == "unsubscribed" {
            return follow.refused();
        }
        if let Some(told) = follow.take(self.connection, frame) {
            let at = follow.at.unwrap_or_default();
            if matches!(told, Told::Live { .. }) {
                self.came_back(&id);
            }
            let events = usize::from(matches!(told, Told::Event { .. }));
            self.told.entry(id.clone()).or_default().push(told);
            let mut standing = locked(&self.shared.standing);
            standing.events += events;
            standing.at.insert(id, at);
        }
    }

    /// It misses nothing any more of what happens in a conversation.
    fn came_back(&mut self, conversation: &str) {
        let Some(from) = self.follows.get_mut(conversation).and_then(Follow::missed) else { return };
        self.absences.push(Absence { conversation: conversation.to_owned(), from, until: self.shared.clock.now() });
    }

    fn answered(&mut self, frame: &Value) {
        let Some((sent, waited)) = self.outbox.answered(frame) else { return };
        let (conversation, kind) = (sent.conversation.clone(), sent.command["type"].clone());
        let mut standing = locked(&self.shared.standing);
        standing.acked += 1;
        standing.longest_wait = standing.longest_wait.max(waited);
        drop(standing);
        if kind == "StartConversation" {
            let id = self.id();
            self.outbox.add(id, &conversation, json!({ "type": "AddParticipant", "user": self.persona.guest }));
        } else if kind == "AddParticipant" {
            locked(&self.shared.group).push(conversation);
        }
    }

    /// Does what there is to do.
    async fn act(&mut self, socket: &mut Socket, phase: Phase, ping: bool) -> Result<(), Ended> {
        for conversation in locked(&self.shared.group).iter() {
            if !self.follows.contains_key(conversation) {
                self.follows.insert(conversation.clone(), Follow::new());
            }
        }
        if phase == Phase::Working && self.next_idea <= Instant::now() && self.outbox.pending() < MAX_PENDING {
            self.next_idea = Instant::now() + Duration::from_millis(self.rng.u64(THINKS_MS));
            self.have_idea()?;
        }
        let mut frames = self.outbox.due();
        let now = self.shared.clock.now();
        frames.extend(self.follows.iter_mut().filter_map(|(id, follow)| follow.subscribe(id, now)));
        frames.extend(ping.then(|| json!({ "type": "ping" })));
        for frame in frames {
            socket.send(&frame).await?;
        }
        locked(&self.shared.standing).pending = self.outbox.pending();
        Ok(())
    }

    fn have_idea(&mut self) -> Result<(), Ended> {
        let conversations = locked(&self.shared.group).len();
        let begun = self.outbox.commands.iter().filter(|sent| sent.command["type"] == "StartConversation").count();
        if self.persona.begins && begun == conversations && self.outbox.commands.len() >= begun * NEW_CONVERSATION_AFTER
        {
            let (conversation, words) = (self.id().to_string(), self.words());
            self.ask(&conversation, json!({ "type": "StartConversation", "title": words }));
            return Ok(());
        }
        let words = self.words();
        let live: Vec<&String> = self.follows.iter().filter(|(_, follow)| follow.live).map(|(id, _)| id).collect();
        if live.is_empty() {
            return Ok(());
        }
        let conversation = live[self.rng.usize(0..live.len())].clone();
        let Some(follow) = self.follows.get_mut(&conversation) else { return Ok(()) };
        match ideas::next(&mut self.rng, &self.persona.user, follow, &words) {
            Some(Idea::Ask(command)) => self.ask(&conversation, command),
            Some(Idea::Again) => self.outbox.again(&mut self.rng, AGAIN_AFTER),
            Some(Idea::Reload) => follow.forget(),
            Some(Idea::Disconnect) => return Err(Ended),
            None => {}
        }
        Ok(())
    }

    /// Asks for a command to be carried out, sometimes through two edges at about the same time.
    fn ask(&mut self, conversation: &str, command: Value) {
        let id = self.id();
        let frame = self.outbox.add(id, conversation, command);
        if self.rng.u32(0..10) >= TWICE {
            return;
        }
        self.outbox.copied(id, Duration::from_millis(self.rng.u64(HEAD_START_MS)));
        // The next one: not that of this connection.
        let edge = self.edges[self.connection as usize % self.edges.len()];
        let (token, answers) = (self.token.clone(), self.copies.0.clone());
        self.copying.spawn(async move {
            let asking = async { Socket::open(edge, &token).await?.answer_to(&frame).await };
            if let Ok(Ok(answer)) = timeout(TWICE_DEADLINE, asking).await {
                let _ = answers.send(answer).await;
            }
        });
    }

    fn id(&mut self) -> Uuid {
        uuid::Builder::from_random_bytes(self.rng.u128(..).to_be_bytes()).into_uuid()
    }

    /// Words that nobody else ever says.
    fn words(&mut self) -> String {
        format!("q{:x} of {}", self.rng.u64(..), self.persona.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client() -> Client {
        let (name, user, guest) = ("ann, tab 0".to_owned(), "ann".to_owned(), "bob".to_owned());
        let shared = Shared { group: Group::default(), standing: Arc::default(), clock: Clock::start() };
        Client::new(Persona { name, user, guest, begins: true }, Vec::new(), shared, Rng::with_seed(1)).unwrap()
    }

    #[test]
    fn it_remembers_what_it_should_not_have_been_told() {
        let mut client = client();
        client.take(&json!({ "type": "event", "conversation": "c", "sequence": 1 }));
        assert_eq!(client.strays, [r#""event" of c"#]);
    }

    #[test]
    fn it_remembers_when_it_missed_what_happened() {
        let mut client = client();
        let live = json!({ "type": "live", "conversation": "c", "sequence": 0 });
        let mut follow = Follow::new();
        assert!(follow.subscribe("c", 0).is_some());
        client.follows.insert("c".to_owned(), follow);
        client.take(&live);
        assert_eq!(client.absences.len(), 1, "until it was let in");
        client.follows.values_mut().for_each(|follow| follow.disconnected(0));
        client.take(&live);
        client.take(&live);
        assert_eq!(client.absences.len(), 2, "from the end of a socket on");
        client.follows.values_mut().for_each(Follow::forget);
        client.follows.values_mut().for_each(|follow| follow.disconnected(0));
        client.take(&live);
        assert_eq!(client.absences.len(), 2, "it waited for a view");
    }
}
