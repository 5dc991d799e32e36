//! What workers tell of themselves in figures. docs/operations.md lists them; no label holds content or anyone's id, and a
//! model or provider that is neither in the configuration nor in the catalogue is called `other`: people name both as they like.
//! Providers of their own are all called `own`: what becomes of those is not to be read as the installation's.

use std::time::Instant;

use ::metrics::{Label, counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram};
use domain::ModelRef;
use domain::account::Limit;
use domain::conversation::Usage;
use store::Recorded;

use crate::provider::{Catalog, Error, known};

const FIRST_TOKEN: &str = "bestchat_first_token_seconds";
const CALL_DURATION: &str = "bestchat_reply_duration_seconds";
const TOKENS: &str = "bestchat_tokens_total";
const ATTEMPTS: &str = "bestchat_reply_attempts_total";
const RUNNING: &str = "bestchat_replies_running";
const REPLY_ENDS: &str = "bestchat_reply_ends_total";
const PROVIDER_ERRORS: &str = "bestchat_provider_errors_total";
const LIMIT_REFUSALS: &str = "bestchat_limit_refusals_total";
const BREAKER_CHANGES: &str = "bestchat_breaker_changes_total";

/// What has a name of people's own.
const OTHER: &str = "other";
/// A provider of a person's own.
const OWN: &str = "own";

/// Says what each figure means, once a process has someone to tell.
pub fn describe() {
    describe_histogram!(FIRST_TOKEN, "From asking a provider to the first piece of text.");
    describe_histogram!(CALL_DURATION, "From asking a provider to the end of a whole answer.");
    describe_counter!(TOKENS, "Tokens as providers counted them, by kind.");
    describe_counter!(ATTEMPTS, "Attempts at replies that ended in this process, by how.");
    describe_gauge!(RUNNING, "Attempts at replies under way in this process.");
    describe_counter!(
        REPLY_ENDS,
        "Replies that ended, and attempts that expired, by the event; counted by shard owners."
    );
    describe_counter!(PROVIDER_ERRORS, "Calls to providers that gave no whole answer, by kind of error.");
    describe_counter!(LIMIT_REFUSALS, "Replies for which a limit of the person who asked left no room, by limit.");
    describe_counter!(BREAKER_CHANGES, "Circuit breakers that this process opened, half opened or closed.");
}

/// A model as figures name it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Names {
    pub(crate) provider: String,
    pub(crate) model: String,
}

impl Names {
    /// Of a model that is not a person's own.
    pub(crate) fn of(catalog: &Catalog, model: &ModelRef) -> Self {
        let provider = model.provider();
        let is_provider = catalog.connected(provider).is_some() || known::provider(provider).is_some();
        let is_listed = |model: &ModelRef| catalog.models().iter().any(|listed| listed.model == *model);
        let is_model = is_listed(model) || known::model(model).is_some();
        let named = |is_known: bool, name: &str| if is_known { name.to_owned() } else { OTHER.to_owned() };
        Self { provider: named(is_provider, provider), model: named(is_model, model.model()) }
    }

    /// Of a person's own, whatever they call it.
    pub(crate) fn own() -> Self {
        Self { provider: OWN.to_owned(), model: OTHER.to_owned() }
    }

    /// Of none that anybody could tell.
    pub(crate) fn other() -> Self {
        Self { provider: OTHER.to_owned(), model: OTHER.to_owned() }
    }

    fn into_labels(self) -> Vec<Label> {
        vec![Label::new("provider", self.provider), Label::new("model", self.model)]
    }
}

/// A call to a provider.
pub(crate) struct Call {
    labels: Vec<Label>,
    began: Instant,
    spoke: bool,
}

impl Call {
    pub(crate) fn begin(names: Names) -> Self {
        gauge!(RUNNING).increment(1);
        Self { labels: names.into_labels(), began: Instant::now(), spoke: false }
    }

    /// Text came.
    pub(crate) fn spoke(&mut self) {
        if !self.spoke {
            self.spoke = true;
            histogram!(FIRST_TOKEN, self.labels.iter()).record(self.began.elapsed());
        }
    }

    pub(crate) fn finished(&self) {
        histogram!(CALL_DURATION, self.labels.iter()).record(self.began.elapsed());
    }

    /// Counts what the provider has counted in the end, of a call that is over in one way or another.
    pub(crate) fn counted(&self, usage: &Usage) {
        let kinds = [
            ("input", usage.input),
            ("cached_input", usage.cached_input),
            ("cache_write", usage.cache_write),
            ("output", usage.output),
            ("reasoning", usage.reasoning),
        ];
        for (kind, tokens) in kinds {
            if let Some(tokens) = tokens {
                counter!(TOKENS, with(&self.labels, "kind", kind).iter()).increment(tokens);
            }
        }
    }

    pub(crate) fn failed(&self, error: &Error) {
        counter!(PROVIDER_ERRORS, with(&self.labels, "kind", error.code()).iter()).increment(1);
    }

    pub(crate) fn ended(&self, how: &'static str) {
        counter!(ATTEMPTS, with(&self.labels, "end", how).iter()).increment(1);
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        gauge!(RUNNING).decrement(1);
    }
}

fn with(labels: &[Label], key: &'static str, value: &'static str) -> Vec<Label> {
    labels.iter().cloned().chain([Label::from_static_parts(key, value)]).collect()
}

/// Counts an attempt that ended before this model was asked.
pub(crate) fn unasked(names: Names, how: &'static str) {
    counter!(ATTEMPTS, with(&names.into_labels(), "end", how).iter()).increment(1);
}

/// Counts a reply for which there was no room.
pub(crate) fn refused(limit: Limit) {
    counter!(LIMIT_REFUSALS, "limit" => limit.name()).increment(1);
}

/// Counts what this process has made of a circuit breaker of calls to this provider, as figures name it.
pub(crate) fn breaker_changed(provider: &str, change: &'static str) {
    counter!(BREAKER_CHANGES, "provider" => provider.to_owned(), "change" => change).increment(1);
}

/// Counts what an event of a shard says about a reply's end.
pub(crate) fn heard(event: &Recorded) {
    let end = match event.event_type.as_str() {
        "ReplyCompleted" => "completed",
        "ReplyStopped" => "stopped",
        "ReplyFailed" => "failed",
        "ReplyAttemptExpired" => "attempt_expired",
        _ => return,
    };
    counter!(REPLY_ENDS, "end" => end).increment(1);
}

#[cfg(test)]
mod tests {

    use super::*;
    use crate::provider::{Deadlines, ModelConfig, Protocol, ProviderConfig};

    #[test]
    fn what_people_name_is_no_label() {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let provider = |id: &str, models: &[&str]| ProviderConfig {
            id: id.to_owned(),
            protocol: Protocol::OpenaiChat,
            base_url: Some("http://127.0.0.1:9/v1".to_owned()),
            api_key: None,
            access_key_id: None,
            session_token: None,
            auth: None,
            max_tokens: false,
            models: models.iter().map(|id| ModelConfig { id: (*id).to_owned(), ..ModelConfig::default() }).collect(),
            open: false,
        };
        let providers = vec![provider("listed", &["known"]), provider("open", &[])];
        let catalog = Catalog::new(providers, None, Deadlines::default()).unwrap();
        for (model, labels) in [
            ("listed/known", ["listed", "known"]),
            ("open/whatever-someone-types", ["open", "other"]),
            ("openai/gpt-6-luna", ["openai", "gpt-6-luna"]),
            ("openai/whatever", ["openai", "other"]),
            ("anns-own/known", ["other", "other"]),
        ] {
            let Names { provider, model: name } = Names::of(&catalog, &model.parse().unwrap());
            assert_eq!([provider, name], labels, "{model}");
        }
    }
}
