//! Simulated people: several clients a conversation, who say things, change their minds, lose their connections and come
//! back, and remember all they said and were told.

mod client;
mod follow;
mod ideas;
mod outbox;
mod socket;
mod stranger;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use fastrand::Rng;
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::history::{Ledger, Probe};
use super::{Clock, locked};
use crate::Error;
use client::Client;

/// How many groups there are. Each has three clients: two tabs of one person, and another person.
const GROUPS: usize = 8;

/// What the clients are at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// They say things.
    Working,
    /// They begin nothing more, and finish what they have begun.
    Settling,
    /// They leave.
    Done,
}

/// How a client stands, for whoever waits for it.
#[derive(Clone, Debug, Default)]
pub(super) struct Standing {
    /// How many of its commands have no answer yet.
    pub(super) pending: usize,
    /// The last sequence that it was told of each conversation.
    pub(super) at: BTreeMap<String, u64>,
    /// Figures for the progress line.
    pub(super) acked: usize,
    pub(super) events: usize,
    /// The longest that a command waited for its acknowledgement, since the last look, in milliseconds.
    pub(super) longest_wait: u64,
}

/// The conversations of a group, as far as everyone in it knows.
pub(super) type Group = Arc<Mutex<Vec<String>>>;

/// All clients at work.
pub(super) struct Clients {
    phase: watch::Sender<Phase>,
    standings: Vec<(Group, Arc<Mutex<Standing>>)>,
    people: JoinSet<Ledger>,
    stranger: JoinSet<Vec<Probe>>,
}

impl Clients {
    /// Starts them over these edges.
    ///
    /// # Errors
    /// When they cannot be given tokens.
    pub(super) fn start(edges: &[SocketAddr], seed: u64, clock: Clock) -> Result<Self, Error> {
        let phase = watch::Sender::new(Phase::Working);
        let (mut standings, mut people) = (Vec::new(), JoinSet::new());
        let mut groups = Vec::new();
        let mut rng = Rng::with_seed(seed);
        for nth in 0..GROUPS {
            let group = Group::default();
            for (tab, person) in ["ann", "ann", "bob"].into_iter().enumerate() {
                let standing = Arc::<Mutex<Standing>>::default();
                let persona = client::Persona {
                    name: format!("{person} {nth}, tab {tab}"),
                    user: format!("{person}-{nth}"),
                    guest: format!("bob-{nth}"),
                    begins: tab == 0,
                };
                let edges = edges.iter().copied().cycle().skip(nth + tab).take(edges.len()).collect();
                let shared = client::Shared { group: Arc::clone(&group), standing: Arc::clone(&standing), clock };
                people.spawn(Client::new(persona, edges, shared, rng.fork())?.run(phase.subscribe()));
                standings.push((Arc::clone(&group), standing));
            }
            groups.push(group);
        }
        let mut stranger = JoinSet::new();
        stranger.spawn(stranger::probe(edges.to_vec(), groups, rng.fork(), phase.subscribe()));
        Ok(Self { phase, standings, people, stranger })
    }

    /// What they are at from now on.
    pub(super) fn set_phase(&self, phase: Phase) {
        self.phase.send_replace(phase);
    }

    /// How each stands. In a conversation of its group that it was told nothing of, it stands before the first event.
    pub(super) fn standings(&self) -> Vec<Standing> {
        let stand = |(group, standing): &(Group, Arc<Mutex<Standing>>)| {
            let mut standing = locked(standing).clone();
            for conversation in locked(group).iter() {
                standing.at.entry(conversation.clone()).or_default();
            }
            standing
        };
        self.standings.iter().map(stand).collect()
    }

    /// The longest that a command has waited since the last look, in milliseconds.
    pub(super) fn take_longest_wait(&self) -> u64 {
        let waits = self.standings.iter().map(|(_, standing)| std::mem::take(&mut locked(standing).longest_wait));
        waits.max().unwrap_or_default()
    }

    /// Sends them home; gives what they remember.
    ///
    /// # Errors
    /// When one of them failed.
    pub(super) async fn finish(mut self) -> Result<(Vec<Ledger>, Vec<Probe>), Error> {
        self.set_phase(Phase::Done);
        let (mut ledgers, mut probes) = (Vec::new(), Vec::new());
        while let Some(ledger) = self.people.join_next().await {
            ledgers.push(ledger.map_err(Error::other)?);
        }
        while let Some(more) = self.stranger.join_next().await {
            probes.extend(more.map_err(Error::other)?);
        }
        ledgers.sort_by(|one, other| one.client.cmp(&other.client));
        Ok((ledgers, probes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_client_that_is_not_let_in_stands_at_the_beginning() {
        // There is no edge.
        let clients = Clients::start(&[SocketAddr::from(([127, 0, 0, 1], 1))], 1, Clock::start()).unwrap();
        locked(&clients.standings[0].0).push("c".to_owned());
        let standings = clients.standings();
        let at: Vec<Option<u64>> = standings[..4].iter().map(|standing| standing.at.get("c").copied()).collect();
        assert_eq!(at, [Some(0), Some(0), Some(0), None], "the three of this group");
    }
}
