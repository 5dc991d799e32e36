//! Read models: how fast one is made anew from the log, beside reading the same rows out with COPY, and how far they lag.

mod lag;

use std::time::Instant;

use futures::StreamExt;
use sqlx::postgres::PgPoolCopyExt;
use uuid::Uuid;

use super::stack::{NO_PROVIDER, SHARDS, servers};
use super::{Found, Plan};
use crate::Error;
use crate::fleet::Fleet;
use crate::load::seed::{Story, seed};
use crate::measure::{median, number};
use crate::report::{Row, Target};

/// The views.
const VIEWS: [&str; 2] = ["conversation_list", "transcript"];
/// Events of a conversation: ten turns.
const CONVERSATION: usize = 41;
/// How long each message is, in bytes.
const BYTES: usize = 200;

pub(super) async fn measure(plan: Plan, found: &mut Found) -> Result<(), Error> {
    found.rows.extend(rebuilding(plan).await?);
    found.rows.extend(lag::measure(plan).await?);
    Ok(())
}

async fn rebuilding(plan: Plan) -> Result<Vec<Row>, Error> {
    let fleet = servers(SHARDS, NO_PROVIDER, "").await?;
    let story = |nth: usize| Story {
        id: Uuid::new_v4(),
        owner: format!("person{}", nth % 100),
        events: CONVERSATION,
        bytes: BYTES,
    };
    let stories: Vec<Story> = (0..plan.pick(1_500, 10_000)).map(story).collect();
    let events = number(seed(&fleet.pool, SHARDS, &stories).await?.len() as u64);
    let mut copies = Vec::new();
    let mut rebuilds = VIEWS.map(|_| Vec::new());
    for _ in 0..plan.rounds() {
        copies.push(events / copy_out(&fleet).await?);
        for (view, rates) in VIEWS.into_iter().zip(&mut rebuilds) {
            rates.push(events / rebuild(&fleet, view).await?);
        }
    }
    let copy = median(copies);
    let note = format!(
        "{events:.0} events of {} conversations in {SHARDS} shards; the program's start is in it; COPY events TO \
         STDOUT gives all columns of the same rows, which are read and thrown away",
        stories.len()
    );
    let row = |(view, rates): (&str, Vec<f64>)| {
        Row::new(format!("Rebuild of {view}"), median(rates), "events/s")
            .over(copy, "COPY out")
            .target(Target::AtLeast(0.3))
            .note(note.clone())
    };
    Ok(VIEWS.into_iter().zip(rebuilds).map(row).collect())
}

/// The seconds that reading all rows takes.
async fn copy_out(fleet: &Fleet) -> Result<f64, Error> {
    let begun = Instant::now();
    let mut rows = fleet.pool.copy_out_raw("copy events to stdout").await?;
    let mut bytes = 0;
    while let Some(piece) = rows.next().await {
        bytes += piece?.len();
    }
    if bytes == 0 { Err(Error("there are no rows to copy".to_owned())) } else { Ok(begun.elapsed().as_secs_f64()) }
}

/// The seconds that making a view anew takes.
async fn rebuild(fleet: &Fleet, view: &str) -> Result<f64, Error> {
    let begun = Instant::now();
    let mut process = fleet.process("rebuild", &["rebuild", view], &[])?;
    if process.ended().await? {
        Ok(begun.elapsed().as_secs_f64())
    } else {
        Err(Error(format!("{view} is not rebuilt: {}", process.log())))
    }
}
