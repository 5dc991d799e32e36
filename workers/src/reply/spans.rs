//! The spans of a reply: an attempt, from its claim to its end, and the call to the model in it, in the words of
//! OpenTelemetry's conventions for generative AI. Nothing of what was said is in them.

use domain::conversation::{Finish, Usage};
use domain::{ConversationId, ModelRef};
use nats::subject;
use nats::trace::{self, TARGET};
use reqwest::Url;
use store::Recorded;
use tracing::Span;
use tracing::field::Empty;

use crate::provider::{Protocol, ProviderConfig, known};

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
            messaging.operation.name = "process",
            messaging.operation.type = "process",
            // An attempt works upon the event that asks for the reply, whatever brought it.
            messaging.destination.template = subject::EVENT,
            gen_ai.conversation.id = %conversation,
            bestchat.attempt = i64::from(number),
        )
    })
}

/// The call to a model.
pub(super) fn chat(
    model: &ModelRef,
    config: &ProviderConfig,
    conversation: ConversationId,
    max_output: Option<u64>,
) -> Span {
    if !trace::is_traced() {
        return Span::none();
    }
    let url = config.base_url.as_deref().and_then(|url| Url::parse(url).ok());
    tracing::info_span!(
        target: TARGET,
        "chat",
        otel.name = format!("chat {}", model.model()),
        otel.kind = "client",
        otel.status_code = Empty,
        gen_ai.operation.name = "chat",
        gen_ai.provider.name = provider_name(config),
        gen_ai.request.model = model.model(),
        gen_ai.request.stream = true,
        gen_ai.request.max_tokens = max_output.map(number),
        gen_ai.conversation.id = %conversation,
        server.address = url.as_ref().and_then(Url::host_str),
        server.port = url.as_ref().and_then(Url::port_or_known_default).map(i64::from),
        gen_ai.usage.input_tokens = Empty,
        gen_ai.usage.cache_read.input_tokens = Empty,
        gen_ai.usage.cache_creation.input_tokens = Empty,
        gen_ai.usage.output_tokens = Empty,
        gen_ai.usage.reasoning.output_tokens = Empty,
        error.type = Empty,
    )
}

/// What the conventions call a provider: of a known one its name, of another the one whose protocol it speaks. So it is never a
/// name that people choose.
fn provider_name(config: &ProviderConfig) -> &'static str {
    let known = known::provider(&config.id).filter(|known| known.protocol == config.protocol);
    match (known.map(|known| known.id.as_str()), config.protocol) {
        (Some("azure"), _) => "azure.ai.openai",
        (Some("vertex"), _) => "gcp.vertex_ai",
        (Some("mistral"), _) => "mistral_ai",
        (Some("xai"), _) => "x_ai",
        (Some("moonshot"), _) => "moonshot_ai",
        (_, Protocol::Gemini) => "gcp.gemini",
        (_, Protocol::Bedrock) => "aws.bedrock",
        (Some(known), _) => known,
        (None, Protocol::OpenaiChat | Protocol::OpenaiResponses) => "openai",
        (None, spoken) => spoken.as_str(),
    }
}

/// What the model's answer came to.
pub(super) fn answered(span: &Span, finish: Finish, usage: &Usage) {
    let reason = match finish {
        Finish::Stop => "stop",
        Finish::Length => "length",
        Finish::ToolCalls => "tool_calls",
        Finish::ContentFilter => "content_filter",
        Finish::Other => "other",
    };
    trace::record_list(span, "gen_ai.response.finish_reasons", &[reason]);
    let sum = |counts: &[Option<u64>]| counts.iter().copied().flatten().reduce(u64::saturating_add);
    for (name, tokens) in [
        ("gen_ai.usage.input_tokens", sum(&[usage.input, usage.cached_input, usage.cache_write])),
        ("gen_ai.usage.cache_read.input_tokens", usage.cached_input),
        ("gen_ai.usage.cache_creation.input_tokens", usage.cache_write),
        ("gen_ai.usage.output_tokens", sum(&[usage.output, usage.reasoning])),
        ("gen_ai.usage.reasoning.output_tokens", usage.reasoning),
    ] {
        span.record(name, tokens.map(number));
    }
}

/// A number as spans hold it: of one that is unsigned they make a text.
fn number(unsigned: u64) -> i64 {
    i64::try_from(unsigned).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_provider_is_called_as_the_conventions_know_it_and_never_by_a_name_of_peoples_own() {
        for (id, protocol, name) in [
            ("openai", Protocol::OpenaiResponses, "openai"),
            ("azure", Protocol::OpenaiChat, "azure.ai.openai"),
            ("google", Protocol::Gemini, "gcp.gemini"),
            ("vertex", Protocol::Gemini, "gcp.vertex_ai"),
            ("bedrock", Protocol::Bedrock, "aws.bedrock"),
            ("mistral", Protocol::OpenaiChat, "mistral_ai"),
            ("xai", Protocol::OpenaiChat, "x_ai"),
            ("moonshot", Protocol::OpenaiChat, "moonshot_ai"),
            ("groq", Protocol::OpenaiChat, "groq"),
            ("cohere", Protocol::Cohere, "cohere"),
            ("anns-own", Protocol::OpenaiChat, "openai"),
            ("anns-own", Protocol::Anthropic, "anthropic"),
            // Under a known name, but something else.
            ("azure", Protocol::Anthropic, "anthropic"),
        ] {
            let config = ProviderConfig { id: id.to_owned(), protocol, ..ProviderConfig::demo() };
            assert_eq!(provider_name(&config), name, "{id} {protocol:?}");
        }
    }
}
