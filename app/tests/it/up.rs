//! `bestchat up`: everything from an empty folder, and yesterday's chats the next time.

use std::net::TcpListener;
use std::path::Path;

use serde_json::{Value, json};

use crate::support::{Client, Process, run, until};

fn environment(listen: &str) -> Vec<(String, String)> {
    let settings = [("BESTCHAT_LISTEN", listen), ("NO_COLOR", "1"), ("OLLAMA_HOST", "127.0.0.1:1")];
    settings.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec()
}

/// Starts it and returns the address that it prints.
async fn up(name: &str, folder: &Path, listen: &str) -> (Process, String) {
    let mut process = Process::start(name, folder, &environment(listen), &["up"]);
    let address = ready(&mut process).await.0;
    (process, address)
}

/// The address in the line that says that it is ready, and the line.
pub(crate) async fn ready(process: &mut Process) -> (String, String) {
    let line = process.says("BestChat is ready: http://").await;
    (line.split("http://").nth(1).unwrap().split(' ').next().unwrap().to_owned(), line)
}

/// A token for whoever asks, if the request names this machine.
pub(crate) async fn dev_token(address: &str, host: &str, user: &str) -> Option<String> {
    let request = reqwest::Client::new().post(format!("http://{address}/api/dev/token")).header("host", host);
    let answer = request.json(&json!({ "user": user })).send().await.unwrap();
    if !answer.status().is_success() {
        assert_eq!(answer.status(), 404, "as if there were no such route");
        return None;
    }
    answer.json::<Value>().await.unwrap()["token"].as_str().map(str::to_owned)
}

async fn conversations(address: &str, token: &str) -> Vec<String> {
    let url = format!("http://{address}/api/conversations");
    let list: Value = reqwest::Client::new().get(url).bearer_auth(token).send().await.unwrap().json().await.unwrap();
    list["conversations"].as_array().unwrap().iter().map(|row| row["id"].as_str().unwrap().to_owned()).collect()
}

/// The programs that run in the folder or below it.
pub(crate) fn running_in(folder: &Path) -> Vec<String> {
    let folder = folder.canonicalize().unwrap();
    let processes = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    processes
        .filter(|entry| std::fs::read_link(entry.path().join("cwd")).is_ok_and(|cwd| cwd.starts_with(&folder)))
        .filter_map(|entry| std::fs::read_to_string(entry.path().join("comm")).ok())
        .collect()
}

#[tokio::test]
async fn up_needs_nothing_and_keeps_everything() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let wanted = taken.local_addr().unwrap();
    let (mut first, address) = up("first", folder, &wanted.to_string()).await;
    let port: u16 = address.rsplit(':').next().unwrap().parse().unwrap();
    assert!(port > wanted.port(), "the next free port: {address}");

    assert_eq!(dev_token(&address, "evil.example", "ann").await, None);
    assert_eq!(dev_token(&address, &format!("evil.example:{port}"), "ann").await, None);
    let login = dev_token(&address, &format!("localhost:{port}"), "ann").await.unwrap();
    let mut ann = Client::connect(&address, &login).await.unwrap();
    let id = ann.start().await;
    ann.follow(&id).await;
    let reply = ann.submit(&id, "instant hello there").await;
    let end = ann.end_of(&id, &reply).await;
    assert_eq!((&end["type"], &end["model"]), (&json!("ReplyCompleted"), &json!("demo/echo")));

    // Other commands in the folder find the database of the running one.
    let prints = |arguments: &[&str]| {
        let output = run(folder, &environment(&wanted.to_string()), arguments);
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    let replayed = prints(&["replay", &id]);
    for words in ["ConversationStarted", "MessageSubmitted", "instant hello there", "ReplyCompleted", "BestChat's demo"]
    {
        assert!(replayed.contains(words), "{words}: {replayed}");
    }
    let earlier = prints(&["replay", &id, "--at", "2"]);
    assert!(earlier.contains("instant hello there") && !earlier.contains("BestChat's demo"), "{earlier}");
    assert!(!run(folder, &environment("127.0.0.1:0"), &["replay", &id, "--at", "999"]).status.success());
    assert_eq!(prints(&["replay", &id, "--speed", "100000"]), replayed, "the same, however fast");
    for speed in ["--speed=0", "--speed=-1", "--speed=nan"] {
        let refused = run(folder, &environment("127.0.0.1:0"), &["replay", &id, speed]);
        assert!(String::from_utf8_lossy(&refused.stderr).contains("a number above 0"), "{speed}: {refused:?}");
    }
    assert_eq!(prints(&["dead-letters"]).trim(), "Nothing is parked.");

    // Keys of providers are sealed with a key of its own, which can be replaced while it runs.
    let url = format!("http://{address}/api/providers/configs/demo");
    let key = json!({ "api_key": "a key that the demo does not need" });
    let saved = reqwest::Client::new().put(url).bearer_auth(&login).json(&key).send().await.unwrap();
    assert!(saved.status().is_success(), "{saved:?}");
    assert!(prints(&["rotate-keys"]).contains("1 keys of 1 accounts are under version 1, 0 of them newly"));
    let keys = folder.join(".bestchat/sealing-keys");
    let kept = std::fs::read_to_string(&keys).unwrap();
    std::fs::write(&keys, format!("{kept}2 QkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkI=\n")).unwrap();
    assert!(prints(&["rotate-keys"]).contains("1 keys of 1 accounts are under version 2, 1 of them newly"));

    assert!(first.stop().await.success());
    until("no server is left", async || running_in(folder).is_empty()).await;

    // Killed outright, it takes its servers along; the next start still has everything, logins too.
    let (mut second, address) = up("second", folder, "127.0.0.1:0").await;
    assert_eq!(conversations(&address, &login).await, [id.as_str()]);
    second.kill();
    until("no server is left", async || running_in(folder).is_empty()).await;
    let (mut third, address) = up("third", folder, "127.0.0.1:0").await;
    assert_eq!(conversations(&address, &login).await, [id.as_str()]);
    let mut ann = Client::connect(&address, &login).await.unwrap();
    ann.follow(&id).await;
    let reply = ann.submit(&id, "instant again").await;
    assert_eq!(ann.end_of(&id, &reply).await["type"], "ReplyCompleted");
    assert!(third.stop().await.success());
    until("no server is left", async || running_in(folder).is_empty()).await;
}

#[test]
fn settings_are_listed_without_their_secrets() {
    let folder = tempfile::tempdir().unwrap();
    let file = "[[providers]]\nid = \"p\"\nprotocol = \"openai-chat\"\nbase_url = \"http://127.0.0.1:9/v1\"\n\
                api_key = \"sekrit-key\"\n[[auth.issuers]]\nsecret = \"sekrit-shared-by-no-more-than-two\"\n";
    std::fs::write(folder.path().join("bestchat.toml"), file).unwrap();
    std::fs::write(folder.path().join("nats"), "nats://core:sekrit-nats@localhost:4222\n").unwrap();
    let environment = [("DATABASE_URL", "postgres://u:sekrit-pg@localhost/d"), ("BESTCHAT_NATS_URL_FILE", "nats")];
    let environment = environment.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let output = run(folder.path(), &environment, &["config"]);
    let printed = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    for setting in ["listen", "data", "database_url", "nats_url", "providers", "worker_roles", "log"] {
        assert!(printed.contains(setting), "{setting}: {printed}");
    }
    assert!(printed.contains("DATABASE_URL") && printed.contains("bestchat.toml"), "where each comes from: {printed}");
    assert!(!printed.contains("sekrit"), "{printed}");
    let misspelt = run(folder.path(), &[("BESTCHAT_LISTNE".to_owned(), "x".to_owned())], &["config"]);
    let said = String::from_utf8_lossy(&misspelt.stderr).into_owned();
    assert!(!misspelt.status.success() && said.contains("BESTCHAT_LISTNE"), "{said}");
}
