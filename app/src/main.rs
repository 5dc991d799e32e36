//! `bestchat`: one binary, a role per subcommand.

use std::process::ExitCode;

use app::cli;

fn main() -> ExitCode {
    cli::run()
}
