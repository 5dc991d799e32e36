//! Logging to standard error, as the settings want it. Standard output belongs to what a command answers.

use std::io;

use tracing_subscriber::{EnvFilter, fmt, layer::SubscriberExt, util::SubscriberInitExt};

use crate::config::{Error, LogFormat, Settings};

/// Begins logging for the whole process. A second call changes nothing.
pub fn init(settings: &Settings) -> Result<(), Error> {
    let filter = EnvFilter::try_new(&settings.log)
        .map_err(|e| Error::setting("log", format!("`{}` is not a log filter: {e}", settings.log)))?;
    let registry = tracing_subscriber::registry().with(filter);
    // It fails only when something else logs already, as in tests; then that is as good.
    let _ = match settings.log_format {
        LogFormat::Text => registry.with(fmt::layer().with_writer(io::stderr)).try_init(),
        LogFormat::Json => registry.with(fmt::layer().json().flatten_event(true).with_writer(io::stderr)).try_init(),
    };
    Ok(())
}
