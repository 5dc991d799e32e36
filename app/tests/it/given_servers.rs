//! `bestchat up` over a Postgres and a NATS that are there already: it uses those, and shares them with others like it.

use std::process::Command;

use tempfile::TempDir;

use crate::support::{App, Client, Process, SHARDS, answer};
use crate::up::{dev_token, ready, running_in};

/// One `up` with a data folder of its own, and Ann at it.
struct Up {
    process: Process,
    ann: Client,
    folder: TempDir,
}

impl Up {
    async fn start(app: &App) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut process = app.start_with(&["up"], folder.path(), &[("BESTCHAT_DATA", "data")]);
        let (address, _) = ready(&mut process).await;
        let login = dev_token(&address, &address, "ann").await.unwrap();
        let ann = Client::connect(&address, &login).await.unwrap();
        Self { process, ann, folder }
    }

    /// It has started no server.
    fn assert_alone(&self) {
        let data = self.folder.path().join("data");
        let mut names: Vec<_> = std::fs::read_dir(&data).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        assert_eq!(names, ["dev-login-secret", "sealing-keys"], "nothing of a server's");
        assert_eq!(running_in(self.folder.path()), ["bestchat\n"]);
    }
}

#[tokio::test]
async fn without_a_server_to_run_it_says_what_to_install() {
    let app = App::new().await;
    let folder = tempfile::tempdir().unwrap();
    // Nothing beside it, above it or in the PATH.
    let alone = folder.path().join("bestchat");
    std::fs::copy(env!("CARGO_BIN_EXE_bestchat"), &alone).unwrap();
    let mut command = Command::new(alone);
    command.arg("up").current_dir(folder.path()).env_clear().env("DATABASE_URL", app.postgres.url()).env("PATH", "");
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success());
    assert!(said.contains("nats-server 2.14 or newer was not found") && said.contains("NATS_URL"), "{said}");
}

#[tokio::test]
async fn two_ups_over_given_servers_share_the_work_and_start_none_of_their_own() {
    let app = App::new().await;
    let (mut one, mut two) = (Up::start(&app).await, Up::start(&app).await);
    app.until_owned("commands", 2).await;
    app.until_owned("projector", 2).await;
    for up in [&one, &two] {
        up.assert_alone();
    }

    let id = one.ann.start().await;
    one.ann.follow(&id).await;
    two.ann.follow(&id).await;
    for asks_first in [true, false] {
        let (asking, listening) = if asks_first { (&mut one.ann, &mut two.ann) } else { (&mut two.ann, &mut one.ann) };
        let reply = asking.submit(&id, "say 5 words").await;
        let end = asking.end_of(&id, &reply).await;
        assert_eq!(end["type"], "ReplyCompleted");
        assert_eq!(listening.end_of(&id, &reply).await, end);
    }

    // One is killed over an answer: the other brings that to its end and goes on.
    let reply = two.ann.submit(&id, "hold 20 words").await;
    two.ann.until_text(&id, &reply, answer(20).len()).await;
    one.process.kill();
    app.provider.release();
    assert_eq!(two.ann.end_of(&id, &reply).await["type"], "ReplyCompleted");
    let reply = two.ann.submit(&id, "say 5 again").await;
    assert_eq!(two.ann.end_of(&id, &reply).await["type"], "ReplyCompleted");
    two.ann.transcript(&id).assert_clean();
    assert_eq!(app.until_owned("commands", 1).await, [i64::from(SHARDS)]);
    assert!(two.process.stop().await.success());
}
