//! Logging to standard error, and traces to wherever the settings say. Standard output belongs to what a command answers.
//!
//! The two are kept apart by the target of spans: what makes up traces never shows in a log, and what is logged never
//! travels with a trace.

use std::backtrace::{Backtrace, BacktraceStatus};
use std::io;
use std::panic::{self, PanicHookInfo};

use store::TRACE_TARGET;
use tracing::Metadata;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::{FilterExt, filter_fn};
use tracing_subscriber::{EnvFilter, Layer, fmt, layer::SubscriberExt, util::SubscriberInitExt};

use crate::config::{Error, LogFormat, Settings};
use crate::traces::Traces;

/// Begins logging for the whole process, and tracing, as `service`, where the settings want it. A second call changes
/// nothing. What it gives is to be closed before the process ends.
pub fn init(settings: &Settings, service: &'static str) -> Result<Traces, Error> {
    let filter = EnvFilter::try_new(&settings.log)
        .map_err(|e| Error::setting("log", format!("`{}` is not a log filter: {e}", settings.log)))?;
    let traces = Traces::start(settings, service)?;
    let is_trace = |metadata: &Metadata<'_>| metadata.target() == TRACE_TARGET;
    let kept = filter_fn(is_trace).with_max_level_hint(LevelFilter::INFO);
    // The hint leaves it to the other filter how much is looked at: what nobody wants must cost nothing.
    let logged = filter.and(filter_fn(move |metadata| !is_trace(metadata)).with_max_level_hint(LevelFilter::TRACE));
    let registry = tracing_subscriber::registry().with(traces.layer().map(|layer| layer.with_filter(kept)));
    panic::set_hook(Box::new(tell_panic));
    // It fails only when something else logs already, as in tests; then that is as good.
    let _ = match settings.log_format {
        LogFormat::Text => registry.with(fmt::layer().with_writer(io::stderr).with_filter(logged)).try_init(),
        LogFormat::Json => {
            let layer = fmt::layer().json().flatten_event(true).with_writer(io::stderr);
            registry.with(layer.with_filter(logged)).try_init()
        }
    };
    Ok(traces)
}

/// Says where, and how it came there if `RUST_BACKTRACE` wants that. What a panic says of itself may quote someone: a text that was
/// cut in the wrong place, for one.
fn tell_panic(panic: &PanicHookInfo<'_>) {
    let location = panic.location().map(ToString::to_string);
    let backtrace = Backtrace::capture();
    let backtrace = (backtrace.status() == BacktraceStatus::Captured).then(|| backtrace.to_string());
    tracing::error!(location, backtrace, "a thread panicked");
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn a_panic_is_a_line_of_the_log_that_quotes_nothing() {
        let log = tempfile::NamedTempFile::new().unwrap();
        let layer = fmt::layer().json().flatten_event(true).with_writer(Arc::new(log.reopen().unwrap()));
        let usual = panic::take_hook();
        panic::set_hook(Box::new(tell_panic));
        let nothing = std::hint::black_box(None::<u32>);
        let panicked = tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), || {
            panic::catch_unwind(|| nothing.expect("what someone said"))
        });
        panic::set_hook(usual);
        assert!(panicked.is_err());
        let told = std::fs::read_to_string(log.path()).unwrap();
        let line: serde_json::Value = serde_json::from_str(&told).unwrap();
        assert!(line["location"].as_str().is_some_and(|location| location.contains("telemetry.rs")), "{told}");
        assert!(!told.contains("what someone said"), "{told}");
    }
}
