//! A process of the real binary, which does not outlive the test.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};

use super::until;

/// A running process; dropping it kills it.
pub(crate) struct Process {
    name: String,
    child: Child,
    log: PathBuf,
}

/// The binary with nothing in its environment but where programs are.
pub(crate) fn command(folder: &Path, environment: &[(String, String)], arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_bestchat"));
    command.args(arguments).current_dir(folder).stdin(Stdio::null()).env_clear();
    for kept in ["PATH", "HOME", "TMPDIR"] {
        if let Some(value) = std::env::var_os(kept) {
            command.env(kept, value);
        }
    }
    command.envs(environment.iter().cloned());
    command
}

/// Runs a command of the binary to its end.
pub(crate) fn run(folder: &Path, environment: &[(String, String)], arguments: &[&str]) -> Output {
    command(folder, environment, arguments).output().unwrap()
}

impl Process {
    /// Starts the binary; both its outputs go to a file in `folder`.
    pub(crate) fn start(name: &str, folder: &Path, environment: &[(String, String)], arguments: &[&str]) -> Self {
        let log = folder.join(format!("{name}.log"));
        let file = File::create(&log).unwrap();
        let mut command = command(folder, environment, arguments);
        command.stdout(file.try_clone().unwrap()).stderr(file);
        Self { name: name.to_owned(), child: command.spawn().unwrap(), log }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// All that it has written.
    pub(crate) fn log(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(&self.log).unwrap()).into_owned()
    }

    /// Returns the first written line that holds `words`, once there is one.
    pub(crate) async fn says(&mut self, words: &str) -> String {
        let find = |log: String| log.lines().find(|line| line.contains(words)).map(str::to_owned);
        until(&format!("{} says {words:?}", self.name), async || {
            assert!(self.exit().is_none(), "{} has ended: {}", self.name, self.log());
            find(self.log()).is_some()
        })
        .await;
        find(self.log()).unwrap()
    }

    /// The address that it says in the line that holds `words`.
    pub(crate) async fn address(&mut self, words: &str) -> String {
        let line: serde_json::Value = serde_json::from_str(&self.says(words).await).unwrap();
        line["address"].as_str().unwrap().to_owned()
    }

    /// How it ended, if it has.
    pub(crate) fn exit(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().unwrap()
    }

    /// Sends a signal by its name.
    pub(crate) fn signal(&self, name: &str) {
        let sent = Command::new("/bin/sh").args(["-c", r#"kill -s "$0" "$1""#, name, &self.pid().to_string()]).status();
        assert!(sent.unwrap().success(), "{name} reaches {}", self.name);
    }

    /// Ends it as a crash would.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Asks it to stop and waits for that.
    pub(crate) async fn stop(&mut self) -> ExitStatus {
        self.signal("TERM");
        until(&format!("{} stops", self.name), async || self.exit().is_some()).await;
        self.exit().unwrap()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            let log = self.log();
            let lines: Vec<&str> = log.lines().collect();
            println!("--- {} said last:\n{}", self.name, lines[lines.len().saturating_sub(40)..].join("\n"));
        }
    }
}
