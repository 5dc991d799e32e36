//! Private Postgres and NATS: kept data, kills, leftovers, closed folders, and what each bus user may do.
//!
//! The bus is spoken to by hand here: `async-nats` hides what these tests look at, and has its own owner.

use std::{
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use app::local::{self, Nats, NatsOptions, Postgres, PostgresOptions};
use sqlx::{Connection, PgConnection};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::TcpStream,
    time::timeout,
};

type Error = Box<dyn std::error::Error + Send + Sync>;
type Done = Result<(), Error>;

/// A folder that only its owner may enter, removed at the end.
struct Closed(PathBuf);

impl Closed {
    fn new() -> std::io::Result<Self> {
        use std::os::unix::fs::DirBuilderExt;
        let path = std::env::temp_dir().join(format!("bestchat-{}", uuid::Uuid::new_v4().simple()));
        std::fs::DirBuilder::new().mode(0o700).create(&path)?;
        Ok(Self(path))
    }

    fn join(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Closed {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

async fn postgres(dir: &Path) -> Result<Postgres, local::Error> {
    Postgres::start(dir, PostgresOptions { max_connections: 20, durable: false, ..PostgresOptions::default() }).await
}

#[tokio::test]
async fn postgres_keeps_its_data_over_stop_restart_and_kill() -> Done {
    let closed = Closed::new()?;
    let dir = closed.join("postgres");
    let mut server = postgres(&dir).await?;
    let mut connection = PgConnection::connect(&server.url()).await?;
    sqlx::raw_sql("create table t (n int); insert into t values (1)").execute(&mut connection).await?;
    server.stop().await;
    drop(server);

    let mut server = postgres(&dir).await?;
    let mut connection = PgConnection::connect(&server.url()).await?;
    sqlx::query("insert into t values (2)").execute(&mut connection).await?;
    let url = server.url();
    server.kill().await;
    assert!(connection.ping().await.is_err());
    server.restart().await?;
    assert_eq!(server.url(), url, "the same port, so that clients find it again");
    let mut connection = PgConnection::connect(&url).await?;
    let sum: i64 = sqlx::query_scalar("select sum(n) from t").fetch_one(&mut connection).await?;
    assert_eq!(sum, 3);
    server.stop().await;
    Ok(())
}

#[tokio::test]
async fn one_folder_has_one_server() -> Done {
    let closed = Closed::new()?;
    let mut nats = Nats::start(&closed.join("nats"), NatsOptions::default()).await?;
    let second = Nats::start(&closed.join("nats"), NatsOptions::default()).await;
    assert!(matches!(second, Err(local::Error::InUse { .. })), "{second:?}");
    nats.stop().await;
    Ok(())
}

#[tokio::test]
async fn a_stale_process_id_does_not_block_the_next_start() -> Done {
    let closed = Closed::new()?;
    let dir = closed.join("postgres");
    let mut first = postgres(&dir).await?;
    let file = dir.join("data/postmaster.pid");
    let text = std::fs::read_to_string(&file)?;
    first.kill().await;
    // By now the number belongs to someone else who is alive: after a reboot, or in a container.
    std::fs::write(&file, text.replacen(&first.pid().to_string(), &std::process::id().to_string(), 1))?;
    drop(first);
    let mut second = postgres(&dir).await?;
    PgConnection::connect(&second.url()).await?.close().await?;
    second.stop().await;
    Ok(())
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_server_that_a_killed_run_left_behind_is_stopped_by_the_next() -> Done {
    let closed = Closed::new()?;
    let dir = closed.join("postgres");
    let mut first = postgres(&dir).await?;
    let process = PathBuf::from(format!("/proc/{}", first.pid()));
    let (program, arguments) = (process.join("exe").read_link()?, std::fs::read_to_string(process.join("cmdline"))?);
    let url = first.url();
    first.stop().await;
    drop(first);

    let mut orphan = as_owner(&dir.join("data"), &program)?
        .args(arguments.trim_end_matches('\0').split('\0').skip(1))
        .current_dir(dir.join("data"))
        .stderr(std::process::Stdio::null())
        .spawn()?;
    while PgConnection::connect(&url).await.is_err() {
        assert!(orphan.try_wait()?.is_none(), "the orphan must run");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let mut second = postgres(&dir).await?;
    assert!(orphan.try_wait()?.is_some_and(|status| status.success()), "it was stopped cleanly");
    PgConnection::connect(&second.url()).await?.close().await?;
    second.stop().await;
    Ok(())
}

/// A command that runs as the owner of a folder that only root may get to.
#[cfg(target_os = "linux")]
fn as_owner(folder: &Path, program: &Path) -> std::io::Result<std::process::Command> {
    use std::os::unix::fs::MetadataExt;
    let meta = folder.metadata()?;
    if folder.parent().is_some_and(|parent| parent.metadata().is_ok_and(|parent| parent.uid() == meta.uid())) {
        return Ok(std::process::Command::new(program));
    }
    let mut command = std::process::Command::new("setpriv");
    command.args([format!("--reuid={}", meta.uid()), format!("--regid={}", meta.gid())]);
    command.args(["--clear-groups", "--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search"]).arg(program);
    Ok(command)
}

#[tokio::test]
async fn a_taken_port_is_refused_when_it_was_asked_for() -> Done {
    let closed = Closed::new()?;
    let taken = std::net::TcpListener::bind("127.0.0.1:0")?;
    let port = Some(taken.local_addr()?.port());
    let options = PostgresOptions { port, durable: false, ..PostgresOptions::default() };
    let Err(error) = Postgres::start(&closed.join("postgres"), options).await else { return Err("it started".into()) };
    assert!(error.to_string().contains("Address already in use"), "{error}");
    let Err(error) = Nats::start(&closed.join("nats"), NatsOptions { port }).await else {
        return Err("it started".into());
    };
    assert!(error.to_string().contains("address already in use"), "{error}");
    Ok(())
}

#[tokio::test]
async fn nats_keeps_streams_over_restart_and_kill_and_loses_them_when_wiped() -> Done {
    let closed = Closed::new()?;
    let mut server = Nats::start(&closed.join("nats"), NatsOptions::default()).await?;
    let url = server.core_url();
    create_stream(&url).await?;
    let mut core = Bus::connect(&url).await?;
    core.request("evt.0.a", "one").await?;
    server.stop().await;
    server.restart().await?;
    assert_eq!(stored(&url).await?, Some(1));
    server.kill().await;
    server.restart().await?;
    assert_eq!(stored(&url).await?, Some(1));
    server.wipe().await?;
    assert_eq!(server.core_url(), url);
    assert_eq!(stored(&url).await?, None);
    server.stop().await;
    Ok(())
}

#[tokio::test]
async fn an_edge_cannot_forge_an_event() -> Done {
    let closed = Closed::new()?;
    let mut server = Nats::start(&closed.join("nats"), NatsOptions::default()).await?;
    let url = server.core_url();
    create_stream(&url).await?;
    let mut core = Bus::connect(&url).await?;
    core.request("evt.0.a", "genuine").await?;
    Bus::connect(&url).await?.serve(&["cmd.>", "resume.>", "probe.>"]).await?;
    let mut edge = Bus::connect(&server.edge_url()).await?;

    // A genuine question gets its answer, and genuine events arrive.
    assert_eq!(edge.request("cmd.0.a", "?").await?, "answer");
    assert_eq!(edge.request("resume.0.a", "?").await?, "answer");
    assert_eq!(edge.request("probe.a", "?").await?, "answer");
    edge.subscribe("evt.>").await?;

    edge.publish("evt.0.a", None, "direct").await?;
    assert!(edge.error().await?.contains("Permissions Violation for Publish to \"evt.0.a\""));
    edge.publish("cmd.0.a", Some("evt.0.a"), "?").await?;
    edge.publish("resume.0.a", Some("evt.0.a"), "?").await?;
    edge.publish("probe.a", Some("evt.0.a"), "?").await?;
    for api in ["$JS.API.STREAM.MSG.GET.EVT", "$JS.API.DIRECT.GET.EVT", "$JS.API.STREAM.DELETE.EVT", "$JS.API.INFO"] {
        edge.publish(api, Some("evt.0.a"), r#"{"seq":1}"#).await?;
        assert!(edge.error().await?.contains("Permissions Violation for Publish"), "{api}");
    }
    // A trace report is a message too, sent wherever the header says.
    let header = "NATS/1.0\r\nNats-Trace-Dest: evt.0.a\r\n\r\n";
    edge.send(&format!("HPUB cmd.0.a {} {}\r\n{header}?\r\n", header.len(), header.len() + 1)).await?;
    assert!(edge.error().await?.contains("Permissions Violation for Publish to \"evt.0.a\""));
    // `internal.>` and its like end at the account.
    for private in ["internal.x", "ctl.x", "snap.x", "live.x", "list.x", "_R_.x", "_INBOX.x", "$KV.x", "$SYS.x"] {
        edge.publish(private, None, "").await?;
        assert!(edge.error().await?.contains("Permissions Violation for Publish"), "{private}");
    }
    for private in [">", "internal.>", "_INBOX.>", "_R_.>", "$JS.>", "cmd.>", "probe.>"] {
        edge.subscribe(private).await?;
        assert!(edge.error().await?.contains("Permissions Violation for Subscription"), "{private}");
    }
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(stored(&url).await?, Some(1), "only the genuine event");
    server.stop().await;
    Ok(())
}

#[tokio::test]
async fn core_may_do_what_its_work_needs_and_no_more() -> Done {
    let closed = Closed::new()?;
    let mut server = Nats::start(&closed.join("nats"), NatsOptions::default()).await?;
    let url = server.core_url();
    create_stream(&url).await?;
    let mut core = Bus::connect(&url).await?;
    core.request("evt.0.a", "genuine").await?;
    let apis =
        ["STREAM.PURGE.EVT", "STREAM.UPDATE.EVT", "STREAM.MSG.DELETE.EVT", "STREAM.NAMES", "STREAM.SNAPSHOT.EVT"];
    let apis = apis.map(|api| format!("$JS.API.{api}"));
    for beyond in
        apis.iter().map(String::as_str).chain(["ctl.x", "x", "$KV.x", "$SYS.REQ.SERVER.PING", "_INBOX_edge.x"])
    {
        core.publish(beyond, None, "{}").await?;
        assert!(core.error().await?.contains("Permissions Violation for Publish"), "{beyond}");
    }
    for beyond in [">", "*.>", "_R_.>", "$JS.>", "$SYS.>", "snap.>", "_INBOX_edge.>"] {
        core.subscribe(beyond).await?;
        assert!(core.error().await?.contains("Permissions Violation for Subscription"), "{beyond}");
    }
    assert_eq!(stored(&url).await?, Some(1));
    server.stop().await;
    Ok(())
}

#[tokio::test]
async fn edges_hear_events_and_each_others_signals() -> Done {
    let closed = Closed::new()?;
    let mut server = Nats::start(&closed.join("nats"), NatsOptions::default()).await?;
    let (mut one, mut two) = (Bus::connect(&server.edge_url()).await?, Bus::connect(&server.edge_url()).await?);
    let (mut core, mut tools) = (Bus::connect(&server.core_url()).await?, Bus::connect(&server.tools_url()).await?);
    // Tools reach nothing, JetStream included.
    Bus::connect(&server.core_url()).await?.serve(&["cmd.>", "resume.>", "probe.>"]).await?;
    for subject in ["cmd.0.x", "resume.x", "probe.x", "internal.x"] {
        assert!(tools.request(subject, "").await.is_err_and(|e| e.to_string().contains("503")), "{subject}");
    }
    assert!(tools.request("$JS.API.INFO", "").await?.contains("JetStream not enabled for account"));
    tools.subscribe(">").await?;
    tools.flush().await?;
    for subject in ["sig.>", "evt.>", "live.>", "list.>"] {
        two.subscribe(subject).await?;
    }
    two.flush().await?;
    one.publish("sig.0.x", None, "typing").await?;
    assert_eq!(two.message().await?, ("sig.0.x".into(), "typing".into()));
    for subject in ["evt.0.x", "live.0.x", "list.x", "sig.0.x"] {
        core.publish(subject, None, "told").await?;
        assert_eq!(two.message().await?, (subject.into(), "told".into()));
    }
    // The tools' user has heard nothing of it: the first thing that it hears is what it says itself.
    tools.publish("own", None, "").await?;
    assert_eq!(tools.message().await?.0, "own");
    server.stop().await;
    Ok(())
}

#[tokio::test]
async fn a_command_that_no_one_serves_is_answered_at_once() -> Done {
    let closed = Closed::new()?;
    let mut server = Nats::start(&closed.join("nats"), NatsOptions::default()).await?;
    Bus::connect(&server.core_url()).await?.serve(&["cmd.2.>"]).await?;
    let mut edge = Bus::connect(&server.edge_url()).await?;
    let mut times = Vec::new();
    for _ in 0..200 {
        let asked = Instant::now();
        let answer = edge.request("cmd.3.x", "?").await;
        times.push(asked.elapsed());
        assert!(answer.is_err_and(|e| e.to_string().contains("503")));
    }
    times.sort();
    assert!(times[100] < Duration::from_millis(100));
    server.stop().await;
    Ok(())
}

async fn create_stream(url: &str) -> Done {
    let mut core = Bus::connect(url).await?;
    let config = r#"{"name":"EVT","subjects":["evt.>"],"storage":"file","allow_direct":true}"#;
    let answer = core.request("$JS.API.STREAM.CREATE.EVT", config).await?;
    assert!(!answer.contains("error"), "{answer}");
    Ok(())
}

/// How many messages the stream holds; `None`: there is no stream.
async fn stored(url: &str) -> Result<Option<u64>, Error> {
    let answer = Bus::connect(url).await?.request("$JS.API.STREAM.INFO.EVT", "").await?;
    let answer: serde_json::Value = serde_json::from_str(&answer)?;
    Ok(answer["state"]["messages"].as_u64())
}

/// A client of the bus, one request at a time.
struct Bus {
    socket: BufReader<TcpStream>,
    inbox: String,
    next: u32,
}

impl Bus {
    async fn connect(url: &str) -> Result<Self, Error> {
        let (user, rest) = url.strip_prefix("nats://").and_then(|u| u.split_once(':')).ok_or("url")?;
        let (password, address) = rest.split_once('@').ok_or("url")?;
        let socket = BufReader::new(TcpStream::connect(address).await?);
        let inbox = if user == "edge" { "_INBOX_edge" } else { "_INBOX" };
        let inbox = format!("{inbox}.{}", uuid::Uuid::new_v4().simple());
        let mut bus = Self { socket, inbox, next: 0 };
        let hello = serde_json::json!({
            "user": user, "pass": password, "verbose": false, "headers": true, "no_responders": true, "echo": true,
        });
        bus.send(&format!("CONNECT {hello}\r\n")).await?;
        bus.send(&format!("SUB {}.* 0\r\n", bus.inbox)).await?;
        bus.flush().await?;
        Ok(bus)
    }

    async fn send(&mut self, text: &str) -> std::io::Result<()> {
        self.socket.write_all(text.as_bytes()).await
    }

    /// Returns when the server has seen all that was sent.
    async fn flush(&mut self) -> Done {
        self.send("PING\r\n").await?;
        while self.line().await? != "PONG" {}
        Ok(())
    }

    async fn subscribe(&mut self, subject: &str) -> std::io::Result<()> {
        self.next += 1;
        let id = self.next;
        self.send(&format!("SUB {subject} {id}\r\n")).await
    }

    async fn publish(&mut self, subject: &str, reply: Option<&str>, text: &str) -> std::io::Result<()> {
        let reply = reply.map(|r| format!("{r} ")).unwrap_or_default();
        self.send(&format!("PUB {subject} {reply}{}\r\n{text}\r\n", text.len())).await
    }

    async fn request(&mut self, subject: &str, text: &str) -> Result<String, Error> {
        self.next += 1;
        let reply = format!("{}.{}", self.inbox, self.next);
        self.publish(subject, Some(&reply), text).await?;
        loop {
            let (subject, text) = self.message().await?;
            if subject == reply {
                return if text.starts_with("NATS/1.0") { Err(text.into()) } else { Ok(text) };
            }
        }
    }

    /// Answers every question on these subjects, from a connection of its own.
    async fn serve(mut self, subjects: &[&str]) -> Done {
        for subject in subjects {
            self.subscribe(subject).await?;
        }
        self.flush().await?;
        tokio::spawn(async move {
            while let Ok(line) = self.line().await {
                let words: Vec<&str> = line.split(' ').collect();
                // Questions from another account carry a header that names it.
                if let ["HMSG", _, _, reply, _, size] = words[..] {
                    let _ = self.body(size.parse().unwrap_or(0)).await;
                    let _ = self.publish(reply, None, "answer").await;
                }
            }
        });
        Ok(())
    }

    async fn message(&mut self) -> Result<(String, String), Error> {
        loop {
            let line = self.line().await?;
            let words: Vec<&str> = line.split(' ').collect();
            if matches!(words[0], "MSG" | "HMSG") {
                let size = words[words.len() - 1].parse()?;
                return Ok((words[1].to_owned(), self.body(size).await?));
            }
        }
    }

    async fn error(&mut self) -> Result<String, Error> {
        loop {
            let line = self.line().await?;
            if line.starts_with("-ERR") {
                return Ok(line);
            }
        }
    }

    async fn body(&mut self, size: usize) -> Result<String, Error> {
        let mut body = vec![0; size + 2];
        self.socket.read_exact(&mut body).await?;
        Ok(String::from_utf8(body)?.trim_end().to_owned())
    }

    async fn line(&mut self) -> Result<String, Error> {
        let mut line = String::new();
        timeout(Duration::from_secs(5), self.socket.read_line(&mut line)).await??;
        if line.is_empty() { Err("the server closed the connection".into()) } else { Ok(line.trim_end().to_owned()) }
    }
}
