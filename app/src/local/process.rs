//! One server process: begun, watched, signalled, and the leftovers of an earlier one.

use std::{
    io,
    os::unix::process::CommandExt,
    path::PathBuf,
    process::{Command, ExitStatus, Stdio},
    sync::mpsc,
    thread,
    time::Duration,
};

use tokio::{sync::watch, time::timeout};

use super::Error;

/// How long a server may take over a clean stop before it is killed.
const STOP_DEADLINE: Duration = Duration::from_secs(20);
const POLL: Duration = Duration::from_millis(10);

/// Where a server runs and under which name: enough to find its processes again.
///
/// Every server is started with its own folder as working folder, and Postgres's children stay there. The name
/// counts as well, because a person's shell may stand in the same folder.
#[derive(Debug, Clone)]
pub(super) struct Place {
    pub(super) folder: PathBuf,
    pub(super) program: &'static str,
}

/// A running child in a process group of its own.
#[derive(Debug)]
pub(super) struct Process {
    pid: u32,
    exit: watch::Receiver<Option<ExitStatus>>,
}

impl Process {
    /// Begins the command in its own process group.
    ///
    /// The kernel ties a death signal to the *thread* that spawned the child, and the runtime's threads come and
    /// go; so each child has a thread of its own, which does nothing but wait for it.
    pub(super) fn spawn(mut command: Command) -> io::Result<Self> {
        command.process_group(0).stdin(Stdio::null());
        let (begun, child) = mpsc::sync_channel(1);
        let (ended, exit) = watch::channel(None);
        thread::Builder::new().name("server".into()).spawn(move || match command.spawn() {
            Ok(mut child) => {
                let _ = begun.send(Ok(child.id()));
                let status = child.wait().unwrap_or_default();
                ended.send_replace(Some(status));
            }
            Err(e) => {
                let _ = begun.send(Err(e));
            }
        })?;
        let pid = child.recv().map_err(io::Error::other)??;
        Ok(Self { pid, exit })
    }

    pub(super) fn pid(&self) -> u32 {
        self.pid
    }

    /// How it ended, when it has.
    pub(super) fn exit(&self) -> Option<ExitStatus> {
        *self.exit.borrow()
    }

    /// Returns when the process has ended.
    pub(super) async fn ended(&self) {
        let _ = self.exit.clone().wait_for(Option::is_some).await;
    }

    /// Sends a signal, unless the process has ended (its number may be someone else's by then).
    pub(super) fn signal(&self, name: &str) {
        if self.exit().is_none() {
            signal(name, &[self.pid]);
        }
    }

    /// Asks with a signal, and kills when that takes too long. Returns once the process is gone.
    pub(super) async fn stop(&self, name: &str, place: &Place) {
        self.signal(name);
        if timeout(STOP_DEADLINE, self.ended()).await.is_err() {
            tracing::warn!(pid = self.pid, program = place.program, "server did not stop in time: killing it");
            self.kill(place).await;
        }
    }

    /// Kills the process and everything else that runs in its place, giving none of them a chance to tidy up.
    pub(super) async fn kill(&self, place: &Place) {
        // Frozen first, so that it begins no further process between the listing and the blow. Its children
        // are listed because Postgres gives each a process group of its own.
        self.signal("STOP");
        signal("KILL", &place.processes());
        self.signal("KILL");
        self.ended().await;
        place.empty_within(STOP_DEADLINE).await;
    }
}

impl Place {
    /// Stops what an earlier, killed run has left running here. The folder's lock must be held: then whatever
    /// runs here has lost its owner.
    pub(super) async fn stop_leftovers(&self, name: &str) -> Result<(), Error> {
        let heads = self.heads();
        if heads.is_empty() {
            return Ok(());
        }
        tracing::info!(folder = %self.folder.display(), "stopping a server that an earlier run left behind");
        signal(name, &heads);
        if self.empty_within(STOP_DEADLINE).await {
            return Ok(());
        }
        signal("KILL", &self.processes());
        if self.empty_within(STOP_DEADLINE).await {
            return Ok(());
        }
        let what = format!("a server still runs in {} and cannot be stopped", self.folder.display());
        Err(Error::Failed { what, said: format!("process ids {:?}", self.processes()) })
    }

    /// Polls until nothing runs here any more; `false` when the deadline came first.
    async fn empty_within(&self, deadline: Duration) -> bool {
        let empty = async {
            while !self.processes().is_empty() {
                tokio::time::sleep(POLL).await;
            }
        };
        timeout(deadline, empty).await.is_ok()
    }

    fn processes(&self) -> Vec<u32> {
        self.running().into_iter().map(|(pid, _)| pid).collect()
    }

    /// The processes here that no other process here has begun: a server answers signals, its children must not
    /// be told one by one.
    fn heads(&self) -> Vec<u32> {
        let running = self.running();
        let is_child = |parent: u32| running.iter().any(|(pid, _)| *pid == parent);
        running.iter().filter(|(_, parent)| !is_child(*parent)).map(|(pid, _)| *pid).collect()
    }

    /// Each process here and its parent.
    #[cfg(target_os = "linux")]
    fn running(&self) -> Vec<(u32, u32)> {
        let processes = std::fs::read_dir("/proc").into_iter().flatten().flatten();
        processes
            .filter_map(|entry| {
                let pid = entry.file_name().to_str()?.parse().ok()?;
                if std::fs::read_link(entry.path().join("cwd")).ok()? != self.folder {
                    return None;
                }
                let status = std::fs::read_to_string(entry.path().join("status")).ok()?;
                let field = |name: &str| status.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
                (field("Name:") == Some(self.program)).then_some(())?;
                Some((pid, field("PPid:")?.parse().ok()?))
            })
            .collect()
    }

    /// Each process here and its parent: those begun with this folder as an argument, and their children.
    #[cfg(not(target_os = "linux"))]
    fn running(&self) -> Vec<(u32, u32)> {
        let Ok(output) = Command::new("ps").args(["-axwwo", "pid=,ppid=,command="]).output() else {
            return Vec::new();
        };
        let text = String::from_utf8_lossy(&output.stdout);
        let rows: Vec<(u32, u32, &str)> = text
            .lines()
            .filter_map(|line| {
                let (pid, rest) = line.trim_start().split_once(' ')?;
                let (parent, command) = rest.trim_start().split_once(' ')?;
                Some((pid.parse().ok()?, parent.parse().ok()?, command))
            })
            .collect();
        let folder = self.folder.to_string_lossy();
        let is_server = |command: &str| {
            let program = command.split(' ').next().unwrap_or_default();
            program.rsplit('/').next() == Some(self.program) && command.contains(&*folder)
        };
        let servers: Vec<u32> = rows.iter().filter(|row| is_server(row.2)).map(|row| row.0).collect();
        let here = |row: &&(u32, u32, &str)| servers.contains(&row.0) || servers.contains(&row.1);
        rows.iter().filter(here).map(|row| (row.0, row.1)).collect()
    }
}

/// Sends a signal through the shell's own `kill`: there is no safe call for it in the standard library, and a
/// slim container has no `kill` program.
fn signal(name: &str, pids: &[u32]) {
    if pids.is_empty() {
        return;
    }
    let _ = Command::new("/bin/sh")
        .args(["-c", r#"for pid in "$@"; do kill -s "$0" "$pid"; done"#, name])
        .args(pids.iter().map(u32::to_string))
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .status();
}
