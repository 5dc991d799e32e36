//! A process of the real binary, which does not outlive its handle.

use std::fs::File;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio::time::{Instant, sleep};

use crate::Error;

/// How long a process may take to start, or to stop.
const DEADLINE: Duration = Duration::from_mins(1);
/// The pause between two looks.
const POLL: Duration = Duration::from_millis(10);

/// A running process; dropping it kills it.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts a program in `folder` with nothing of our environment but where programs are; both its outputs go to a
    /// file there, which is named like the process.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start(name: &str, mut command: Command, folder: &Path) -> Result<Self, Error> {
        let log = folder.join(format!("{name}.log"));
        let file = File::options().create(true).append(true).open(&log)?;
        let set: Vec<_> =
            command.get_envs().map(|(name, value)| (name.to_owned(), value.map(ToOwned::to_owned))).collect();
        command.env_clear();
        for kept in ["PATH", "HOME", "TMPDIR"] {
            if let Some(value) = std::env::var_os(kept) {
                command.env(kept, value);
            }
        }
        for (name, value) in set {
            if let Some(value) = value {
                command.env(name, value);
            }
        }
        // A group of its own, so that the processes that it starts do not outlive it either.
        command.process_group(0).current_dir(folder).stdin(Stdio::null()).stdout(file.try_clone()?).stderr(file);
        let child = command.spawn().map_err(|error| Error(format!("{name} cannot be started: {error}")))?;
        Ok(Self { name: name.to_owned(), child, log })
    }

    /// What it is called.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// All that it has written.
    pub fn log(&self) -> String {
        std::fs::read(&self.log).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
    }

    /// The first written line that holds `words`, once there is one.
    ///
    /// # Errors
    /// When the process ends before, or says nothing of the kind in time.
    pub async fn says(&mut self, words: &str) -> Result<String, Error> {
        let deadline = Instant::now() + DEADLINE;
        loop {
            if let Some(line) = self.log().lines().find(|line| line.contains(words)) {
                return Ok(line.to_owned());
            }
            if self.exit()?.is_some() || Instant::now() > deadline {
                return Err(Error(format!("{} does not say {words:?}; it said: {}", self.name, self.log())));
            }
            sleep(POLL).await;
        }
    }

    /// How it ended, if it has.
    ///
    /// # Errors
    /// When the system does not tell.
    pub fn exit(&mut self) -> Result<Option<ExitStatus>, Error> {
        Ok(self.child.try_wait()?)
    }

    /// Sends a signal by its name, such as `STOP`.
    ///
    /// # Errors
    /// When it does not reach the process.
    pub fn signal(&self, name: &str) -> Result<(), Error> {
        let arguments = ["-c", r#"kill -s "$0" "$1""#, name, &self.pid().to_string()];
        let sent = Command::new("/bin/sh").args(arguments).status()?;
        if sent.success() { Ok(()) } else { Err(Error(format!("{name} does not reach {}", self.name))) }
    }

    /// Ends it as a crash would.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn kill(&mut self) -> Result<(), Error> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// Waits for it to end by itself: whether it ended well.
    ///
    /// # Errors
    /// When it does not end in time.
    pub async fn ended(&mut self) -> Result<bool, Error> {
        Ok(self.wait().await?.success())
    }

    /// Asks it to stop, and waits for that.
    ///
    /// # Errors
    /// When it does not stop in time.
    pub async fn stop(&mut self) -> Result<ExitStatus, Error> {
        self.signal("TERM")?;
        self.wait().await
    }

    async fn wait(&mut self) -> Result<ExitStatus, Error> {
        let deadline = Instant::now() + DEADLINE;
        loop {
            if let Some(status) = self.exit()? {
                return Ok(status);
            }
            if Instant::now() > deadline {
                return Err(Error(format!("{} does not end; it said: {}", self.name, self.log())));
            }
            sleep(POLL).await;
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let group = format!("-{}", self.pid());
        let _ = Command::new("/bin/sh").args(["-c", r#"kill -s KILL -- "$0""#, &group]).stderr(Stdio::null()).status();
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Returns on Ctrl-C and on SIGTERM; what was started is then dropped, and so ended.
pub async fn told_to_stop() {
    let Ok(mut terminate) = signal(SignalKind::terminate()) else { return };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        _ = terminate.recv() => {}
    }
}
