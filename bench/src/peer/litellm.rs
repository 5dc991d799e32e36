//! The `LiteLLM` proxy: what many teams put between their backend and the models. `bench/peers/litellm` has its settings.

use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::{installed, root};
use crate::Error;
use crate::load::Completions;
use crate::process::Process;

/// What it is told as the key of its clients.
pub const KEY: &str = "sk-bench";
/// As `bench/peers/litellm/README.md` has them and says why.
const SETTINGS: [(&str, &str); 10] = [
    ("LITELLM_LOG", "ERROR"),
    ("LITELLM_MODE", "PRODUCTION"),
    ("LITELLM_LOCAL_MODEL_COST_MAP", "True"),
    ("LITELLM_LOCAL_ANTHROPIC_BETA_HEADERS", "True"),
    ("LITELLM_LOCAL_BLOG_POSTS", "True"),
    ("LITELLM_LOCAL_POLICY_TEMPLATES", "True"),
    ("LITELLM_LOCAL_AUTOROUTER_PRESETS", "True"),
    ("LITELLM_DONT_SHOW_FEEDBACK_BOX", "true"),
    ("DISABLE_ADMIN_UI", "True"),
    ("PYTHONUNBUFFERED", "1"),
];
/// What each of its workers says once.
const READY: &str = "Proxy initialized with Config";
/// Importing it alone takes seconds.
const START_DEADLINE: Duration = Duration::from_mins(2);
/// The pause between two looks whether it answers.
const POLL: Duration = Duration::from_millis(250);

/// A running one.
#[derive(Debug)]
pub struct LiteLlm {
    /// The process.
    pub process: Process,
    /// Where it listens.
    pub address: SocketAddr,
}

impl LiteLlm {
    /// Starts it before a provider.
    ///
    /// # Errors
    /// When it is not installed, or does not come up.
    pub async fn start(provider: &str, folder: &Path) -> Result<Self, Error> {
        // Copied last: an environment without it is half installed.
        installed(".tools/litellm/requirements.txt")?;
        let program = installed(".tools/litellm/bin/litellm")?;
        let config = root().join("bench/peers/litellm/config.yaml");
        // The port may be taken by someone else meanwhile; then it does not come up, and says so.
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        let mut command = Command::new(program);
        let workers = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        command.arg("--config").arg(config).args(["--host", "127.0.0.1", "--port", &port.to_string()]);
        command.args(["--num_workers", &workers.to_string(), "--keepalive_timeout", "75"]);
        command.args(["--timeout_worker_healthcheck", "120"]);
        command.envs(SETTINGS).envs([("PROVIDER_URL", provider), ("LITELLM_MASTER_KEY", KEY)]);
        let mut process = Process::start("litellm", command, folder)?;
        let deadline = Instant::now() + START_DEADLINE;
        loop {
            if process.log().matches(READY).count() >= workers
                && let Ok(mut client) = Completions::open(address, KEY).await
                && client.ask().await.is_ok()
            {
                return Ok(Self { process, address });
            }
            if process.exit()?.is_some() || Instant::now() > deadline {
                let log = process.log();
                let last = log.trim().lines().last().unwrap_or("nothing").to_owned();
                return Err(Error(format!("LiteLLM does not come up; it said: {last}")));
            }
            sleep(POLL).await;
        }
    }
}
