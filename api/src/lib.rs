//! The edge: who asks, in what form. It bridges WebSocket and HTTP clients onto the bus and the read models, holds
//! nothing that must survive it, and writes nothing but commands onto the bus.

mod access;
pub mod auth;
mod edge;
mod error;
mod http;
mod hub;
pub mod metrics;
mod provider_catalog;
mod serve;
mod standing;
mod ws;

pub use edge::{AddressCheck, Edge, EdgeConfig, Limits, Load, ModelView};
pub use provider_catalog::{CatalogModel, PriceView, ProviderView, Providers, RateView};
pub use serve::{Backstage, serve, serve_health, serve_metrics};
