//! What BestChat is measured beside: installed if need be, started, and stopped with its handle.

pub mod litellm;
pub mod pgbench;
pub mod socketio;

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;
use tokio::time::timeout;

use crate::Error;

/// How long an installation may take.
const INSTALL_DEADLINE: Duration = Duration::from_mins(10);

/// The root of this checkout: where the peers' sources and `.tools` are.
pub fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here).to_owned()
}

/// Runs a command of an installation; the error holds what it said last.
async fn install(what: &str, command: &mut Command) -> Result<(), Error> {
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).kill_on_drop(true);
    let failed = |why: &str| Error(format!("{what} failed: {why}"));
    let output = timeout(INSTALL_DEADLINE, command.output()).await.map_err(|_| failed("it does not end"))?;
    let output = output.map_err(|error| failed(&error.to_string()))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(failed(said.trim().lines().last().unwrap_or("it gave no reason")))
}
