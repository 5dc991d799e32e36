//! What is broken, and when: all of it follows from the seed.

use std::fmt;
use std::time::Duration;

use fastrand::Rng;

use super::checker::{PATIENCE, RECOVERY};

/// How many processes there are of each role.
pub const PER_ROLE: usize = 2;
/// How long a wave of faults lasts, in milliseconds.
const WAVE_MS: std::ops::Range<u64> = 6_000..12_000;
/// How many faults a wave has.
const FAULTS: std::ops::RangeInclusive<usize> = 2..=4;
/// The quiet after a wave, in which the system has to be well again by itself: longer than what the wave excuses and what
/// one may wait without an excuse, so that whoever waits too long after a wave is noticed before the next.
const CALM: Duration = Duration::from_millis(RECOVERY + PATIENCE + 1_000);
/// The time before the first fault.
const WARM_UP: Duration = Duration::from_secs(2);
/// What a rolling restart of everything is given.
const ROLLING: Duration = Duration::from_secs(15);

/// A role of the binary.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// An edge.
    Api,
    /// Shard owner and reply worker.
    Worker,
    /// Keeper of read models.
    Projector,
}

/// One of the processes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Member {
    /// Its role.
    pub role: Role,
    /// Which of those with this role.
    pub nth: usize,
}

/// A server that processes depend on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Server {
    /// The log.
    Postgres,
    /// The bus.
    Nats,
}

/// What is done to connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// They are cut, and none is let through until it is over.
    Cut,
    /// Nothing goes through, nothing is told: a partition.
    Held,
    /// Everything comes this much later.
    Delayed(Duration),
}

/// How the provider misbehaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whim {
    /// It never answers.
    Hang,
    /// It answers 500.
    Error,
    /// It answers 429.
    Limit,
    /// It cuts the connection in the middle.
    Cut,
    /// It falls silent in the middle.
    Stall,
    /// It speaks slowly.
    Slow,
}

/// A way to break something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A process is killed and started again when the fault is over.
    Kill(Member),
    /// A process is frozen.
    Freeze(Member),
    /// A process's clock is this many seconds off, suddenly.
    ClockStep(Member, i32),
    /// NATS is killed and comes back with nothing.
    WipeNats,
    /// NATS is killed and comes back with what it had.
    RestartNats,
    /// The disk of NATS is full.
    FillNats,
    /// Postgres is killed with all its children.
    KillPostgres,
    /// Clients' connections to an edge.
    Clients(usize, Trouble),
    /// A process's connections to a server.
    Link(Member, Server, Trouble),
    /// The provider misbehaves.
    Provider(Whim),
    /// Every process is told to stop and started anew, one after the other.
    RollingRestart,
}

/// Something broken at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault {
    /// When it begins, from the start of the load.
    pub at: Duration,
    /// How long it lasts.
    pub lasts: Duration,
    /// What it is.
    pub kind: Kind,
}

/// The faults of a run of this length, in the order in which they begin: waves, and between them quiet.
pub fn plan(seed: u64, length: Duration) -> Vec<Fault> {
    let mut rng = Rng::with_seed(seed);
    let mut deck = Vec::new();
    let (mut faults, mut now) = (Vec::new(), WARM_UP);
    while now + Duration::from_millis(WAVE_MS.start) <= length {
        let wave = wave(&mut rng, &mut deck, now);
        now = wave.iter().map(|fault| fault.at + fault.lasts).max().unwrap_or(now) + CALM;
        faults.extend(wave);
    }
    faults.sort_by_key(|fault| fault.at);
    faults
}

/// Some faults at about the same time, none of which is about the same thing as another.
fn wave(rng: &mut Rng, deck: &mut Vec<Card>, begins: Duration) -> Vec<Fault> {
    let (length, count) = (rng.u64(WAVE_MS), rng.usize(FAULTS));
    let mut faults: Vec<Fault> = Vec::new();
    while faults.len() < count {
        if deck.is_empty() {
            deck.extend(CARDS);
            rng.shuffle(deck);
        }
        let Some(card) = deck.pop() else { break };
        if card == Card::RollingRestart {
            if faults.is_empty() {
                return vec![Fault { at: begins, lasts: ROLLING, kind: Kind::RollingRestart }];
            }
            // It has a wave of its own, the next.
            deck.push(card);
            break;
        }
        let kind = kind(rng, card);
        let at = begins + Duration::from_millis(rng.u64(0..length / 2));
        let lasts = lasts(rng, kind);
        if !faults.iter().any(|other| is_about_the_same(other.kind, kind)) {
            faults.push(Fault { at, lasts, kind });
        }
    }
    faults
}

/// The kinds, without whom they hit. They are dealt like cards, so that a run of some length has had each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Card {
    Kill(Role),
    Freeze(Role),
    ClockStep,
    WipeNats,
    RestartNats,
    FillNats,
    KillPostgres,
    Clients,
    Link(Server),
    Provider,
    RollingRestart,
}

const CARDS: [Card; 18] = [
    Card::Kill(Role::Api),
    Card::Kill(Role::Worker),
    Card::Kill(Role::Worker),
    Card::Kill(Role::Projector),
    Card::Freeze(Role::Api),
    Card::Freeze(Role::Worker),
    Card::Freeze(Role::Worker),
    Card::Freeze(Role::Projector),
    Card::ClockStep,
    Card::WipeNats,
    Card::RestartNats,
    Card::FillNats,
    Card::KillPostgres,
    Card::Clients,
    Card::Link(Server::Nats),
    Card::Link(Server::Postgres),
    Card::Provider,
    Card::RollingRestart,
];

fn kind(rng: &mut Rng, card: Card) -> Kind {
    match card {
        Card::Kill(role) => Kind::Kill(member(rng, role)),
        Card::Freeze(role) => Kind::Freeze(member(rng, role)),
        Card::ClockStep => {
            let seconds = rng.i32(60..3_600);
            Kind::ClockStep(anyone(rng), if rng.bool() { seconds } else { -seconds })
        }
        Card::WipeNats => Kind::WipeNats,
        Card::RestartNats => Kind::RestartNats,
        Card::FillNats => Kind::FillNats,
        Card::KillPostgres => Kind::KillPostgres,
        Card::Clients => Kind::Clients(rng.usize(0..PER_ROLE), trouble(rng)),
        Card::Link(server) => Kind::Link(anyone(rng), server, trouble(rng)),
        Card::Provider => {
            let whims = [Whim::Hang, Whim::Error, Whim::Limit, Whim::Cut, Whim::Stall, Whim::Slow];
            Kind::Provider(whims[rng.usize(0..whims.len())])
        }
        Card::RollingRestart => Kind::RollingRestart,
    }
}

fn member(rng: &mut Rng, role: Role) -> Member {
    Member { role, nth: rng.usize(0..PER_ROLE) }
}

fn anyone(rng: &mut Rng) -> Member {
    let roles = [Role::Api, Role::Worker, Role::Worker, Role::Projector];
    let role = roles[rng.usize(0..roles.len())];
    member(rng, role)
}

fn trouble(rng: &mut Rng) -> Trouble {
    match rng.usize(0..3) {
        0 => Trouble::Cut,
        1 => Trouble::Held,
        _ => Trouble::Delayed(Duration::from_millis(rng.u64(20..400))),
    }
}

fn lasts(rng: &mut Rng, kind: Kind) -> Duration {
    let milliseconds = match kind {
        Kind::Kill(_) | Kind::WipeNats | Kind::RestartNats => rng.u64(0..3_000),
        Kind::KillPostgres => rng.u64(0..2_000),
        // Half of them shorter than a lease of a shard and its renewal, half of them longer than an attempt's.
        Kind::Freeze(_) if rng.bool() => rng.u64(500..4_000),
        Kind::Freeze(_) => rng.u64(9_000..14_000),
        Kind::FillNats => rng.u64(1_000..4_000),
        Kind::Clients(..) | Kind::Link(..) => rng.u64(500..7_000),
        Kind::ClockStep(..) | Kind::Provider(_) | Kind::RollingRestart => rng.u64(2_000..8_000),
    };
    Duration::from_millis(milliseconds)
}

/// Whether two faults would be in each other's way.
fn is_about_the_same(one: Kind, other: Kind) -> bool {
    let thing = |kind| match kind {
        Kind::Kill(member) | Kind::Freeze(member) | Kind::ClockStep(member, _) => (0, Some(member)),
        Kind::WipeNats | Kind::RestartNats | Kind::FillNats => (1, None),
        Kind::KillPostgres => (2, None),
        Kind::Clients(..) => (3, None),
        Kind::Link(member, ..) => (4, Some(member)),
        Kind::Provider(_) => (5, None),
        Kind::RollingRestart => (6, None),
    };
    thing(one) == thing(other)
}

impl Kind {
    /// The kind without whom it hits, for counting.
    pub fn name(self) -> &'static str {
        match self {
            Self::Kill(_) => "kill -9",
            Self::Freeze(_) => "freeze",
            Self::ClockStep(..) => "clock step",
            Self::WipeNats => "NATS wiped",
            Self::RestartNats => "NATS killed",
            Self::FillNats => "NATS disk full",
            Self::KillPostgres => "Postgres killed",
            Self::Clients(..) => "clients' connections",
            Self::Link(..) => "link",
            Self::Provider(_) => "provider",
            Self::RollingRestart => "rolling restart",
        }
    }
}

impl fmt::Display for Member {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let role = match self.role {
            Role::Api => "api",
            Role::Worker => "worker",
            Role::Projector => "projector",
        };
        write!(f, "{role} {}", self.nth)
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cut => f.write_str("cut"),
            Self::Held => f.write_str("held"),
            Self::Delayed(by) => write!(f, "delayed by {} ms", by.as_millis()),
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Kill(member) | Self::Freeze(member) => write!(f, "{}: {member}", self.name()),
            Self::ClockStep(member, by) => write!(f, "clock step: {member} by {by} s"),
            Self::Clients(edge, trouble) => write!(f, "clients' connections to api {edge}: {trouble}"),
            Self::Link(member, server, trouble) => write!(f, "link of {member} to {server:?}: {trouble}"),
            Self::Provider(whim) => write!(f, "provider: {whim:?}"),
            _ => f.write_str(self.name()),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { at, lasts, kind } = self;
        write!(f, "{:>7.3} s  for {:>6.3} s  {kind}", at.as_secs_f64(), lasts.as_secs_f64())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_faults_and_another_others() {
        let length = Duration::from_mins(2);
        assert_eq!(plan(7, length), plan(7, length));
        assert_ne!(plan(7, length), plan(8, length));
    }

    #[test]
    fn a_long_run_has_every_kind() {
        let names: std::collections::BTreeSet<&str> =
            plan(1, Duration::from_mins(5)).iter().map(|fault| fault.kind.name()).collect();
        assert_eq!(names.len(), 11, "{names:?}");
    }

    #[test]
    fn quiet_follows_every_wave() {
        let faults = plan(3, Duration::from_mins(10));
        let quiet = |moment| !faults.iter().any(|fault| fault.at < moment + CALM && moment < fault.at + fault.lasts);
        let ends: Vec<Duration> = faults.iter().map(|fault| fault.at + fault.lasts).collect();
        assert!(ends.iter().filter(|end| quiet(**end)).count() >= 5);
    }
}
