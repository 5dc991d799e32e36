//! `bestchat`: one binary, a role per subcommand.

use std::process::ExitCode;

use app::cli;

#[tokio::main]
async fn main() -> ExitCode {
    cli::run().await
}
