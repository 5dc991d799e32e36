//! Every subject, written once.

use domain::{AccountId, ConversationId, MessageId, Shard, Tenant, UserId};
use sha2::{Digest, Sha256};
use store::Recorded;

/// What people ask: `cmd.<shard>.<aggregate>.<id>`. An edge may publish it.
pub fn command(shard: Shard, aggregate: &str, id: &str) -> String {
    format!("cmd.{shard}.{aggregate}.{}", token(id))
}

/// Everything that people ask of a shard.
pub fn commands(shard: Shard) -> String {
    format!("cmd.{shard}.>")
}

/// What our workers ask: the same, on a subject that no edge may publish to.
pub fn internal_command(shard: Shard, aggregate: &str, id: &str) -> String {
    format!("internal.{shard}.{aggregate}.{}", token(id))
}

/// Everything that our workers ask of a shard.
pub fn internal_commands(shard: Shard) -> String {
    format!("internal.{shard}.>")
}

/// How traces name the subject of a command: people's, and our workers'.
pub(crate) const COMMAND: &str = "cmd.<shard>.<aggregate>.<id>";
/// See [`COMMAND`].
pub(crate) const INTERNAL_COMMAND: &str = "internal.<shard>.<aggregate>.<id>";
/// How traces name the subject of an event.
pub const EVENT: &str = "evt.<shard>.<aggregate>.<id>.<event_type>";

/// One event: `evt.<shard>.<aggregate>.<id>.<event_type>`.
pub fn event(event: &Recorded) -> String {
    let Recorded { shard, aggregate_type, aggregate_id, event_type, .. } = event;
    format!("evt.{shard}.{}.{}.{}", token(aggregate_type), token(aggregate_id), token(event_type))
}

/// Every event of a shard.
pub fn events(shard: Shard) -> String {
    format!("evt.{shard}.>")
}

/// Every event of a type, of one shard.
pub fn events_of_type(shard: Shard, aggregate: &str, event_type: &str) -> String {
    format!("evt.{shard}.{aggregate}.*.{event_type}")
}

/// Every event of a type, of all shards.
pub fn events_of_type_anywhere(aggregate: &str, event_type: &str) -> String {
    format!("evt.*.{aggregate}.*.{event_type}")
}

/// The text of a running reply as it comes.
pub fn live(shard: Shard, conversation: ConversationId, reply: MessageId) -> String {
    format!("live.{shard}.{conversation}.{reply}")
}

/// The text of every reply that runs in a shard.
pub fn lives(shard: Shard) -> String {
    format!("live.{shard}.>")
}

/// The text of a running reply as a whole, kept for those who join.
pub fn snapshot(shard: Shard, conversation: ConversationId, reply: MessageId) -> String {
    format!("snap.{shard}.{conversation}.{reply}")
}

/// Every such text.
pub const SNAPSHOTS: &str = "snap.>";

/// Where an edge asks for that text.
pub fn resume(shard: Shard, conversation: ConversationId, reply: MessageId) -> String {
    format!("resume.{shard}.{conversation}.{reply}")
}

/// Everything that edges ask for in that way.
pub const RESUMES: &str = "resume.>";

/// The subject of the text that a `resume` subject asks for.
pub fn snapshot_of_resume(resume: &str) -> Option<String> {
    resume.strip_prefix("resume.").map(|rest| format!("snap.{rest}"))
}

/// Where an edge has a person's provider tried out.
pub fn probe(account: AccountId) -> String {
    format!("probe.{account}")
}

/// Everything that edges have tried out.
pub const PROBES: &str = "probe.>";

/// Every entry of a bucket. JetStream's clients make of a key its subject.
pub(crate) fn bucket(name: &str) -> String {
    format!("$KV.{name}.>")
}

/// Signals in a conversation, such as typing; at most once, from edge to edge.
pub fn signal(shard: Shard, conversation: ConversationId) -> String {
    format!("sig.{shard}.{conversation}")
}

/// Every signal in a shard.
pub fn signals(shard: Shard) -> String {
    format!("sig.{shard}.>")
}

/// Shards of a role that were given up, for those who may take them.
pub fn freed(role: &str) -> String {
    format!("freed.{role}")
}

/// Changes in a person's list of conversations. The person is hashed: a name may hold anything, and subjects are logged.
pub fn list(tenant: &Tenant, user: &UserId) -> String {
    format!("list.{}", list_key(tenant, user))
}

/// Every person's list.
pub const LISTS: &str = "list.*";

/// The last token of [`list`].
pub fn list_key(tenant: &Tenant, user: &UserId) -> String {
    let mut hash = Sha256::new();
    hash.update(tenant.as_str());
    hash.update([0]);
    hash.update(user.as_str());
    let mut first = [0; 16];
    first.copy_from_slice(&hash.finalize()[..16]);
    format!("{:032x}", u128::from_be_bytes(first))
}

/// Text as one token of a subject. Ours fit as they are; what someone else wrote into the log may not.
fn token(text: &str) -> String {
    let fits = |c: char| c.is_ascii_graphic() && !matches!(c, '.' | '*' | '>');
    if text.is_empty() {
        return "_".to_owned();
    }
    text.chars().map(|c| if fits(c) { c } else { '_' }).collect()
}

#[cfg(test)]
mod tests {
    use super::token;

    #[test]
    fn a_token_never_holds_what_means_something_in_a_subject() {
        assert_eq!(token("a.b c*>é"), "a_b_c___");
        assert_eq!(token(""), "_");
        assert_eq!(token("0192-ab"), "0192-ab");
    }
}
