//! Where traces go: to an OpenTelemetry collector, as OTLP over HTTP, if the settings name one. Without, there is nothing
//! here, and the spans of other crates are never made.

use std::time::Duration;

use opentelemetry::trace::{Link, SpanKind, TraceId, TracerProvider};
use opentelemetry::{Context, KeyValue};
use opentelemetry_otlp::{Protocol, SpanExporter, WithExportConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{
    IdGenerator, RandomIdGenerator, Sampler, SamplingResult, SdkTracer, SdkTracerProvider, ShouldSample,
};
use tracing_opentelemetry::OpenTelemetryLayer;
use tracing_subscriber::Registry;

use crate::config::{Error, Settings};

/// How long the collector may take to take a batch.
const EXPORT_DEADLINE: Duration = Duration::from_secs(5);
/// How long it may take to take what is left when the process ends.
pub(crate) const CLOSE_DEADLINE: Duration = Duration::from_secs(2);

/// The traces of this process, if it keeps any.
pub struct Traces(Option<SdkTracerProvider>);

impl Traces {
    pub(crate) fn start(settings: &Settings, service: &'static str) -> Result<Self, Error> {
        let Some(endpoint) = &settings.otlp_endpoint else { return Ok(Self(None)) };
        let exporter = SpanExporter::builder()
            .with_http()
            .with_protocol(Protocol::HttpBinary)
            .with_endpoint(format!("{}/v1/traces", endpoint.trim_end_matches('/')))
            .with_timeout(EXPORT_DEADLINE)
            .build()
            .map_err(|error| Error::setting("otlp_endpoint", error))?;
        let instance = KeyValue::new("service.instance.id", uuid::Uuid::new_v4().to_string());
        let version = KeyValue::new("service.version", env!("CARGO_PKG_VERSION"));
        let resource = Resource::builder().with_service_name(service).with_attributes([instance, version]).build();
        let drawn = Drawn(Sampler::TraceIdRatioBased(settings.trace_sampling));
        let provider = SdkTracerProvider::builder()
            .with_batch_exporter(exporter)
            // What has an unsampled remote parent comes from a client (`nats::trace`); our own processes pass on none.
            .with_sampler(Sampler::parent_based(drawn.clone()).with_remote_parent_not_sampled(drawn))
            .with_resource(resource)
            .build();
        Ok(Self(Some(provider)))
    }

    /// What takes the spans.
    pub(crate) fn layer(&self) -> Option<OpenTelemetryLayer<Registry, SdkTracer>> {
        let tracer = self.0.as_ref()?.tracer("bestchat");
        let layer = tracing_opentelemetry::layer().with_tracer(tracer);
        // Where in our code a span was made, and on which thread, is no one's concern.
        Some(
            layer
                .with_location(false)
                .with_threads(false)
                .with_level(false)
                .with_target(false)
                .with_tracked_inactivity(false),
        )
    }

    /// Sends what is left, within a deadline.
    pub async fn close(self) {
        if let Some(provider) = self.0 {
            // It waits for the collector on the thread that asks.
            let closing = tokio::task::spawn_blocking(move || provider.shutdown_with_timeout(CLOSE_DEADLINE));
            match tokio::time::timeout(CLOSE_DEADLINE, closing).await {
                Ok(Ok(Err(error))) => tracing::warn!(%error, "the last traces were not sent"),
                Err(_) => tracing::warn!("the last traces were not sent in time"),
                Ok(_) => {}
            }
        }
    }
}

/// Keeps the part of all traces that the settings want, by an id that is drawn for this alone: the trace's own may be a
/// client's choice, who would choose one that is always kept.
#[derive(Clone, Debug)]
struct Drawn(Sampler);

impl ShouldSample for Drawn {
    fn should_sample(
        &self,
        parent: Option<&Context>,
        _: TraceId,
        name: &str,
        kind: &SpanKind,
        attributes: &[KeyValue],
        links: &[Link],
    ) -> SamplingResult {
        let drawn = RandomIdGenerator::default().new_trace_id();
        self.0.should_sample(parent, drawn, name, kind, attributes, links)
    }
}
