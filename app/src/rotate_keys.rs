//! `bestchat rotate-keys`: puts every key of a provider under the current key-encryption key.
//!
//! It reads accounts from the log, and for each key under another version asks for the new wrap by a command. A command, its
//! event and the state that follows are all that there is to resume: run again, it finds what is left. It writes as a rival
//! of the shards' owners, which the append's compare-and-set allows (docs/adr/0004), so it needs neither the bus nor a worker.

use std::collections::BTreeMap;
use std::time::Duration;

use domain::account::{self, Account, Command, Error as Refused, SealedKey};
use domain::{Actor, Asked, Asker, CommandId, ProviderId, Shard, shard_of};
use sqlx::PgPool;
use store::sealing::{Owner, Sealing};
use store::writer::{self, Execute, Handle, Refusal};
use store::{Role, log};
use tokio::sync::mpsc;
use uuid::Uuid;

use crate::cli;
use crate::config::Settings;
use crate::sealing;
use crate::wire::{self, Error};

/// How often everything is looked at while people save keys anew meanwhile, perhaps through an edge that does not know the
/// current version yet.
const PASSES: u32 = 5;
/// How many accounts are looked up at a time.
const PAGE: u32 = 500;
/// How often a command is asked again that cannot be carried out just now, and the pause before.
const TRIES: u32 = 20;
/// See [`TRIES`].
const PAUSE: Duration = Duration::from_millis(250);

/// What was found and done.
#[derive(Default)]
struct Done {
    /// In all passes together.
    rewrapped: u64,
    /// In the last pass.
    accounts: u64,
    /// In the last pass: keys under the current version.
    current: u64,
    /// In the last pass: keys that are not, and why.
    failed: Vec<String>,
    /// Whether a key was saved anew while the last pass was at it.
    stale: bool,
}

/// Rotates, and says what it did.
pub(crate) async fn rotate_keys(settings: &Settings) -> Result<(), Error> {
    let sealing = sealing::of(settings)?;
    let sealing = sealing.ok_or_else(|| Error::other("no key-encryption keys are set: `[sealing]`"))?;
    let pool = wire::pool(settings, Role::Owner).await?;
    let shards = store::shard_count(&pool).await?;
    let mut rotation = Rotation { pool, shards, sealing: &sealing, writers: BTreeMap::new(), done: Done::default() };
    rotation.run().await?;
    let Done { rewrapped, accounts, current, failed, .. } = rotation.done;
    cli::print(&format!(
        "{current} keys of {accounts} accounts are under version {}, {rewrapped} of them newly.",
        sealing.current()
    ))?;
    if failed.is_empty() {
        return Ok(());
    }
    Err(Error::other(format!("{} keys stay as they are:\n{}", failed.len(), failed.join("\n"))))
}

struct Rotation<'a> {
    pool: PgPool,
    shards: Shard,
    sealing: &'a Sealing,
    writers: BTreeMap<Shard, Handle<Account>>,
    done: Done,
}

impl Rotation<'_> {
    async fn run(&mut self) -> Result<(), Error> {
        for _ in 0..PASSES {
            self.done = Done { rewrapped: self.done.rewrapped, ..Done::default() };
            self.pass().await?;
            if !self.done.stale {
                return Ok(());
            }
        }
        self.done.failed.push("keys are being saved anew all the time; run this again".to_owned());
        Ok(())
    }

    async fn pass(&mut self) -> Result<(), Error> {
        let mut after = String::new();
        loop {
            let page = log::aggregates(&self.pool, account::TYPE, &after, PAGE).await?;
            let Some(last) = page.last() else { return Ok(()) };
            after.clone_from(last);
            for id in &page {
                self.done.accounts += 1;
                self.rotate(id).await?;
            }
        }
    }

    async fn rotate(&mut self, id: &str) -> Result<(), Error> {
        let account: Account = match store::state(&self.pool, id).await {
            Ok(account) => account,
            Err(error @ store::Error::Undecodable { .. }) => {
                self.done.failed.push(error.to_string());
                return Ok(());
            }
            Err(error) => return Err(error.into()),
        };
        let Some((tenant, user)) = account.owner() else { return Ok(()) };
        for (provider, config) in account.providers() {
            let Some(key) = &config.key else { continue };
            match self.sealing.rewrap(Owner { tenant, user, provider }, key) {
                Ok(None) => self.done.current += 1,
                Ok(Some(wrapped)) => self.ask(id, provider, key, wrapped).await,
                Err(error) => self.failed(id, provider, error),
            }
        }
        Ok(())
    }

    async fn ask(&mut self, id: &str, provider: &ProviderId, key: &SealedKey, wrapped: String) {
        let kek = self.sealing.current();
        let command = Command::RewrapKey { provider: provider.clone(), of: key.wrapped.clone(), kek, wrapped };
        let asker = Asker { tenant: None, actor: Actor::Worker("operator".to_owned()) };
        let execute = Execute {
            command_id: CommandId(Uuid::new_v4()),
            aggregate_id: id.to_owned(),
            expected_sequence: None,
            actor: asker.actor.clone(),
            traceparent: None,
            command: Asked { asker, command },
        };
        for _ in 0..TRIES {
            let outcome = self.writer(id).execute(execute.clone()).await;
            match outcome {
                Ok(_) => {
                    self.done.rewrapped += 1;
                    self.done.current += 1;
                    return;
                }
                Err(Refusal::Domain { error: Refused::StaleKey | Refused::UnknownProvider }) => {
                    self.done.stale = true;
                    return;
                }
                Err(Refusal::Unavailable) => tokio::time::sleep(PAUSE).await,
                Err(refusal) => return self.failed(id, provider, refusal),
            }
        }
        self.failed(id, provider, "the log did not take it; run this again");
    }

    fn writer(&mut self, id: &str) -> &Handle<Account> {
        let shard = shard_of(id, self.shards);
        self.writers.entry(shard).or_insert_with(|| {
            // The shard's own relay finds what nobody hands to it.
            let (committed, _) = mpsc::channel(1);
            writer::spawn(self.pool.clone(), shard, committed)
        })
    }

    fn failed(&mut self, id: &str, provider: &ProviderId, why: impl std::fmt::Display) {
        self.done.failed.push(format!("{provider} of account {id}: {why}"));
    }
}
