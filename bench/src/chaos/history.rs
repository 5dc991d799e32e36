//! What is known of a run once it has settled: all that the checker looks at, and nothing else. It can be written to a file.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

/// What an outage is called in which every process was restarted.
pub const ROLLING_RESTART: &str = "rolling restart";

/// A run, as seen from all its sides.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct History {
    /// The head of each shard.
    pub heads: Vec<u64>,
    /// Every row of the log, by shard and position.
    pub log: Vec<Logged>,
    /// The stream of each shard.
    pub streams: Vec<Stream>,
    /// The views as the projectors left them.
    pub views: Views,
    /// The views as a rebuild made them afterwards.
    pub rebuilt: Views,
    /// What workers keep of what people spent.
    pub books: Books,
    /// Events that a consumer could not take in.
    pub dead_letters: Vec<String>,
    /// What each client said and was told.
    pub ledgers: Vec<Ledger>,
    /// What those who may see nothing were told.
    pub probes: Vec<Probe>,
    /// What the provider said.
    pub calls: Vec<Call>,
    /// The models of the route that every reply is asked of, in its order.
    pub route: Vec<String>,
    /// When something was broken on purpose that someone may have felt.
    pub outages: Vec<Outage>,
    /// How often each kind of fault was there.
    pub injected: BTreeMap<String, usize>,
    /// The faults that were planned and could not be had.
    pub skipped: Vec<Skipped>,
    /// By how much longer than on a quiet machine things took, at moments in milliseconds since the run began.
    pub stretches: Vec<(u64, f64)>,
    /// What did not come to rest in time.
    pub unsettled: Vec<String>,
    /// Processes that ended by themselves, or badly when told to stop.
    pub crashes: Vec<String>,
}

/// A fault that was planned and could not be had.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Skipped {
    /// Of which kind.
    pub kind: String,
    /// Why not.
    pub reason: String,
    /// Whether this machine can have it at all.
    pub possible: bool,
}

/// A row of the log.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Logged {
    /// The shard.
    pub shard: u16,
    /// The position in it.
    pub pos: u64,
    /// The conversation.
    pub conversation: String,
    /// The sequence in it.
    pub sequence: u64,
    /// The event's id.
    pub event_id: Uuid,
    /// The command, where the row says so itself: on a command's first event.
    pub command_id: Option<Uuid>,
    /// The command, as the metadata says.
    pub command: Uuid,
    /// Who asked, as the metadata says.
    pub actor: String,
    /// The account of the person who asked, if it was one.
    pub account: Option<Uuid>,
    /// When it was recorded, in milliseconds since the run began.
    pub at: u64,
    /// On which day of UTC it was recorded.
    pub day: String,
    /// What happened.
    pub event: Value,
}

impl Logged {
    /// The position as the protocol writes it.
    pub fn position(&self) -> String {
        format!("{}:{}", self.shard, self.pos)
    }
}

/// A shard's stream on the bus.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Stream {
    /// Its last sequence; none when the stream is not there.
    pub last: Option<u64>,
    /// The events that it holds, by sequence; what cannot be read is left out.
    pub messages: Vec<(u64, Logged)>,
}

/// The rows of the read models.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Views {
    /// `conversation_list.conversations`.
    pub conversations: Vec<Value>,
    /// `conversation_list.members`.
    pub members: Vec<Value>,
    /// `transcript.messages`.
    pub messages: Vec<Value>,
    /// `usage.spending`.
    pub spending: Vec<Value>,
    /// `usage.replies`: those that have not ended.
    pub unended: Vec<Value>,
}

/// The rows of the tables that workers keep from the log.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Books {
    /// `spent_by_day`.
    pub spent: Vec<Value>,
    /// `reservations`.
    pub set_aside: Vec<Value>,
    /// `open_replies`.
    pub open: Vec<Value>,
}

/// One client's memory.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Ledger {
    /// The client's name.
    pub client: String,
    /// The user that it is.
    pub user: String,
    /// Every command that it sent, in order.
    pub commands: Vec<Sent>,
    /// What it was told of each conversation, in order.
    pub told: BTreeMap<String, Vec<Told>>,
    /// The conversations that changed in its list.
    pub listed: BTreeSet<String>,
    /// The times in which it missed what happened in a conversation.
    pub absences: Vec<Absence>,
    /// What it was told of conversations that it does not follow.
    pub strays: Vec<String>,
}

/// A time in which a client missed what happened in a conversation: from the end of its socket, or from asking to follow
/// it, until it was live; in milliseconds since the run began. One that had nothing to go on from reads a view first, and is
/// not meant.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Absence {
    /// The conversation.
    pub conversation: String,
    /// From when.
    pub from: u64,
    /// Until when; the end of the run, if it was never live again.
    pub until: u64,
}

/// A command that a client sent.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Sent {
    /// The id that the client gave it.
    pub id: Uuid,
    /// The id that the log knows it by.
    pub recorded_as: Uuid,
    /// The conversation.
    pub conversation: String,
    /// What was asked.
    pub command: Value,
    /// When it was first sent, in milliseconds since the run began.
    pub at: u64,
    /// How often it was sent.
    pub sends: usize,
    /// What was answered.
    pub answers: Vec<Answer>,
}

/// An answer to a command.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Answer {
    /// When it came, in milliseconds since the run began.
    pub at: u64,
    /// What it said.
    pub verdict: Verdict,
}

/// What became of a command.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Verdict {
    /// It is durable.
    Acked {
        /// The conversation's sequence after it.
        sequence: u64,
        /// Its place in the log.
        position: String,
    },
    /// It was not done.
    Refused {
        /// Why.
        code: String,
        /// Whether the same may be taken later.
        retryable: bool,
    },
}

impl Verdict {
    /// Whether nothing more is to be expected of the command.
    pub fn is_final(&self) -> bool {
        !matches!(self, Self::Refused { retryable: true, .. })
    }
}

/// What a client was told of a conversation.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Told {
    /// It is followed from here on.
    Subscribed {
        /// The client's connection, by number.
        connection: u32,
        /// The sequence that the client had; none when it had nothing.
        after: Option<u64>,
        /// The sequence that the server goes on from.
        sequence: u64,
        /// The state at that sequence, unless the client's own was taken up.
        snapshot: Option<Value>,
    },
    /// Something happened.
    Event {
        /// The client's connection, by number.
        connection: u32,
        /// Its sequence.
        sequence: u64,
        /// Its place in the log.
        position: String,
        /// The event.
        event: Value,
    },
    /// Everything up to here was told.
    Live {
        /// The last sequence told.
        sequence: u64,
    },
    /// Text of a running reply.
    Delta {
        /// The reply.
        reply: String,
        /// The attempt.
        attempt: u64,
        /// Where it begins, in bytes.
        offset: usize,
        /// The text.
        text: String,
    },
}

/// What someone was told of a conversation that is not theirs.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Probe {
    /// What was tried.
    pub what: String,
    /// The conversation.
    pub conversation: String,
    /// The error code; none when it was let in.
    pub code: Option<String>,
}

/// A call of the provider.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Call {
    /// The model that was asked, by the provider's name for it.
    pub model: String,
    /// The question.
    pub question: String,
    /// How many bytes it was sent.
    pub bytes: u64,
    /// All that it meant to say.
    pub text: String,
    /// Whether it said that it had said all.
    pub whole: bool,
    /// Whether it refused, and said nothing.
    pub refused: bool,
    /// What it said that it counted, at the end of a whole answer.
    pub counted: Option<Tokens>,
}

/// What a call is paid by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tokens {
    /// Of the prompt.
    pub input: u64,
    /// Of the answer.
    pub output: u64,
}

/// A time in which something was broken, in milliseconds since the run began.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Outage {
    /// What.
    pub what: String,
    /// From when.
    pub from: u64,
    /// Until when.
    pub until: u64,
}
