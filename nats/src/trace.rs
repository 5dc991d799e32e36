//! How a trace crosses processes: as W3C Trace Context's `traceparent`, in the header of a command, in the metadata of the
//! events that come of it, and from there to the worker that an event wakes.
//!
//! Only edges begin traces; everyone else goes on with those that are sampled and begins none. So a process without a
//! trace at hand, or an installation that traces nothing, has no span to make and nothing to write.
//!
//! Source: <https://www.w3.org/TR/trace-context/>, version 00.

use opentelemetry::trace::{SpanContext, SpanId, TraceContextExt, TraceFlags, TraceId, TraceState};
use opentelemetry::{Context, StringValue, Value};
use tracing::{Level, Span};
use tracing_opentelemetry::OpenTelemetrySpanExt;

pub use store::TRACE_TARGET as TARGET;

/// The header's name.
pub(crate) const HEADER: &str = "traceparent";

/// Whether this process traces at all.
pub fn is_on() -> bool {
    tracing::span_enabled!(target: TARGET, Level::INFO, "any")
}

/// Whether what is being done belongs to a trace.
pub fn is_traced() -> bool {
    !Span::current().is_disabled()
}

/// A span's `traceparent`; none unless it is sampled.
pub fn of(span: &Span) -> Option<String> {
    if span.is_disabled() {
        return None;
    }
    let context = span.context();
    let span = context.span();
    let span = span.span_context();
    let sampled = span.is_valid() && span.is_sampled();
    sampled.then(|| format!("00-{}-{}-{:02x}", span.trace_id(), span.span_id(), span.trace_flags()))
}

/// A span that goes on with one of our own processes' trace; none without one.
pub fn following(traceparent: Option<&str>, span: impl FnOnce() -> Span) -> Span {
    let Some(context) = traceparent.and_then(parse) else { return Span::none() };
    if !is_on() {
        return Span::none();
    }
    let span = span();
    go_on(&span, context);
    span
}

/// Has a span go on with a client's trace. Whether it is sampled is drawn here, and is not the client's to say: neither by its
/// flag nor by its id.
pub fn follow_client(span: &Span, traceparent: &str) {
    if span.is_disabled() {
        return;
    }
    // What is no `traceparent` is passed over, as the standard asks.
    if let Some(context) = parse(traceparent) {
        let (trace, parent) = (context.trace_id(), context.span_id());
        go_on(span, SpanContext::new(trace, parent, TraceFlags::NOT_SAMPLED, true, TraceState::NONE));
    }
}

/// Has a span say that what it tells of has failed, by a code: a message may hold what a provider said.
pub fn failed(span: &Span, kind: &str) {
    span.record("otel.status_code", "ERROR");
    span.record("error.type", kind);
}

/// Gives a span a list, which no field of it can be.
pub fn record_list(span: &Span, name: &'static str, values: &[&'static str]) {
    let values: Vec<StringValue> = values.iter().copied().map(StringValue::from).collect();
    span.set_attribute(name, Value::Array(values.into()));
}

fn go_on(span: &Span, context: SpanContext) {
    // It fails only for a span that has begun already; its trace then ends here.
    let _ = span.set_parent(Context::new().with_remote_span_context(context));
}

fn parse(traceparent: &str) -> Option<SpanContext> {
    let lower_hex = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte));
    let mut fields = traceparent.split('-');
    let [version, trace, parent, flags] = [fields.next()?, fields.next()?, fields.next()?, fields.next()?];
    let sizes = (version.len(), trace.len(), parent.len(), flags.len()) == (2, 32, 16, 2);
    // A later version may have further fields, the first has none.
    let ends = version != "00" || fields.next().is_none();
    if !sizes || !ends || version == "ff" || ![version, trace, parent, flags].into_iter().all(lower_hex) {
        return None;
    }
    let flags = TraceFlags::new(u8::from_str_radix(flags, 16).ok()?) & TraceFlags::SAMPLED;
    let (trace, parent) = (TraceId::from_hex(trace).ok()?, SpanId::from_hex(parent).ok()?);
    let context = SpanContext::new(trace, parent, flags, true, TraceState::NONE);
    context.is_valid().then_some(context)
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn only_what_the_standard_calls_one_is_a_traceparent() {
        let (trace, parent) = ("4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7");
        let context = parse(&format!("00-{trace}-{parent}-01"));
        assert!(context.is_some_and(|context| context.is_sampled() && context.trace_id().to_string() == trace));
        assert!(parse(&format!("00-{trace}-{parent}-00")).is_some_and(|context| !context.is_sampled()));
        assert!(parse(&format!("01-{trace}-{parent}-01-more")).is_some(), "a later version may say more");
        for wrong in [
            "",
            "00",
            "00-0-0-01",
            &format!("00-{trace}-{parent}"),
            &format!("00-{trace}-{parent}-01-more"),
            &format!("ff-{trace}-{parent}-01"),
            &format!("00-{}-{parent}-01", "0".repeat(32)),
            &format!("00-{trace}-{}-01", "0".repeat(16)),
            &format!("00-{}-{parent}-01", trace.to_uppercase()),
            &format!("00-{trace}-{parent}-é"),
            &format!("00-{}+-{parent}-01", &trace[1..]),
        ] {
            assert!(parse(wrong).is_none(), "{wrong}");
        }
    }
}
