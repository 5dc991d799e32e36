//! The spans of a reply: an attempt, from its claim to its end, and the call to the model in it, in the words of
//! OpenTelemetry's conventions for generative AI. Nothing of what was said is in them.

use domain::conversation::{Finish, Usage};
use domain::{ConversationId, ModelRef};
use nats::trace::{self, TARGET};
use store::Recorded;
use tracing::Span;
use tracing::field::Empty;

/// The trace of the command that asked for what was recorded; none where nothing is traced.
pub(super) fn traceparent(recorded: &Recorded) -> Option<String> {
    if trace::is_on() { recorded.metadata()?.traceparent } else { None }
}

/// An attempt, in the trace of the command that asked for the reply; none when that is not traced.
pub(super) fn attempt(traceparent: Option<&str>, conversation: ConversationId, number: u32) -> Span {
    trace::following(traceparent, || {
        tracing::info_span!(
            target: TARGET,
            "reply.attempt",
            otel.kind = "consumer",
            messaging.system = "nats",
            messaging.operation.type = "process",
            gen_ai.conversation.id = %conversation,
            bestchat.attempt = i64::from(number),
        )
    })
}

/// The call to a model.
pub(super) fn chat(model: &ModelRef, conversation: ConversationId) -> Span {
    if !trace::is_traced() {
        return Span::none();
    }
    tracing::info_span!(
        target: TARGET,
        "chat",
        otel.name = format!("chat {}", model.model()),
        otel.kind = "client",
        otel.status_code = Empty,
        gen_ai.operation.name = "chat",
        gen_ai.provider.name = model.provider(),
        gen_ai.request.model = model.model(),
        gen_ai.conversation.id = %conversation,
        gen_ai.response.finish_reasons = Empty,
        gen_ai.usage.input_tokens = Empty,
        gen_ai.usage.output_tokens = Empty,
        error.type = Empty,
    )
}

/// What the model's answer came to.
pub(super) fn answered(span: &Span, finish: Finish, usage: &Usage) {
    let sum = |counts: &[Option<u64>]| counts.iter().copied().flatten().reduce(u64::saturating_add).map(number);
    span.record(
        "gen_ai.response.finish_reasons",
        match finish {
            Finish::Stop => "stop",
            Finish::Length => "length",
            Finish::ToolCalls => "tool_calls",
            Finish::ContentFilter => "content_filter",
            Finish::Other => "other",
        },
    );
    span.record("gen_ai.usage.input_tokens", sum(&[usage.input, usage.cached_input, usage.cache_write]));
    span.record("gen_ai.usage.output_tokens", sum(&[usage.output, usage.reasoning]));
}

/// A number as spans hold it: of one that is unsigned they make a text.
fn number(unsigned: u64) -> i64 {
    i64::try_from(unsigned).unwrap_or(i64::MAX)
}

/// That there was no whole answer, and the kind of error; its message may hold what the provider said.
pub(super) fn failed(span: &Span, kind: &'static str) {
    span.record("otel.status_code", "ERROR");
    span.record("error.type", kind);
}
