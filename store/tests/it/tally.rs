//! The smallest aggregate that has something to refuse, to lose and to double. Its `handle` applies to itself, as cqrs-es
//! shows it, so that whoever applies an event twice is found out.

use cqrs_es::event_sink::EventSink;
use cqrs_es::{Aggregate, DomainEvent};
use domain::{Actor, CommandId, Decide, Tenant};
use serde::{Deserialize, Serialize};
use store::writer::Execute;
use uuid::Uuid;

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Tally {
    pub(crate) total: u64,
    pub(crate) open: bool,
    tenant: Option<Tenant>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) enum Command {
    /// Refused when open already.
    Open,
    /// Becomes as many events as it adds.
    Add(u64),
    /// Makes nothing happen when closed already.
    Close,
    /// What it says cannot be stored when it holds U+0000.
    Note(String),
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) enum Event {
    Opened,
    Added,
    Closed,
    Noted(String),
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("open already")]
pub(crate) struct OpenAlready;

impl DomainEvent for Event {
    fn event_type(&self) -> String {
        match self {
            Self::Opened => "Opened",
            Self::Added => "Added",
            Self::Closed => "Closed",
            Self::Noted(_) => "Noted",
        }
        .to_owned()
    }

    fn event_version(&self) -> String {
        "1.0".to_owned()
    }
}

impl Aggregate for Tally {
    const TYPE: &'static str = "tally";

    type Command = Command;
    type Event = Event;
    type Error = OpenAlready;
    type Services = ();

    async fn handle(&mut self, command: Command, (): &(), sink: &EventSink<Self>) -> Result<(), OpenAlready> {
        for event in self.decide(&command)? {
            sink.write(event, self).await;
        }
        Ok(())
    }

    fn apply(&mut self, event: Event) {
        match event {
            Event::Opened => {
                self.open = true;
                self.tenant = "acme".parse().ok();
            }
            Event::Added => self.total += 1,
            Event::Closed => self.open = false,
            Event::Noted(_) => {}
        }
    }
}

impl Decide for Tally {
    const STATE_VERSION: i32 = 1;

    fn decide(&self, command: &Command) -> Result<Vec<Event>, OpenAlready> {
        match command {
            Command::Open if self.open => Err(OpenAlready),
            Command::Open => Ok(vec![Event::Opened]),
            Command::Add(count) => Ok((0..*count).map(|_| Event::Added).collect()),
            Command::Close if self.open => Ok(vec![Event::Closed]),
            Command::Close => Ok(Vec::new()),
            Command::Note(text) => Ok(vec![Event::Noted(text.clone())]),
        }
    }

    fn tenant(&self) -> Option<&Tenant> {
        self.tenant.as_ref()
    }
}

/// A command under an id of its own.
pub(crate) fn ask(id: &str, command: Command) -> Execute<Tally> {
    Execute {
        command_id: CommandId(Uuid::new_v4()),
        aggregate_id: id.to_owned(),
        traceparent: None,
        expected_sequence: None,
        actor: Actor::Worker("test".to_owned()),
        command,
    }
}
