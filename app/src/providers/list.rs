//! `bestchat providers`: who is known and configured, how to use the others, and their models.

use std::borrow::Cow;
use std::fmt::Write as _;

use chrono::Utc;
use domain::account;
use serde::Serialize;
use workers::provider::known::{self, Auth, Can, KnownModel, KnownProvider, Takes};
use workers::provider::price::Price;

use crate::config::{self, Settings};
use crate::wire::Error;

/// A provider as it is shown.
#[derive(Debug, Serialize)]
pub(crate) struct Row<'a> {
    pub(crate) id: &'a str,
    pub(crate) name: &'a str,
    pub(crate) protocol: &'static str,
    /// Whether its models can be used.
    pub(crate) configured: bool,
    /// Why it can be used, or how to make it so.
    pub(super) how: String,
    pub(crate) models: Vec<Model<'a>>,
}

/// A model as it is shown.
#[derive(Debug, Serialize)]
pub(crate) struct Model<'a> {
    pub(crate) id: &'a str,
    pub(crate) context_window: Option<u64>,
    pub(crate) max_output: Option<u64>,
    pub(crate) takes: &'a [Takes],
    pub(crate) can: &'a [Can],
    /// Today's.
    pub(crate) price: Option<Cow<'a, Price>>,
}

/// The list, for people or as JSON.
pub(crate) fn text(settings: &Settings, json: bool) -> Result<String, Error> {
    let rows = of(settings);
    if json {
        return serde_json::to_string_pretty(&serde_json::json!({ "providers": rows })).map_err(Error::other);
    }
    let width = |of: fn(&Row<'_>) -> usize| rows.iter().map(of).max().unwrap_or(0);
    let (ids, names) = (width(|row| row.id.len()), width(|row| row.name.len()));
    let (protocols, hows) = (width(|row| row.protocol.len()), width(|row| row.how.len()));
    let mut text = format!("{:ids$}  {:names$}  {:protocols$}  {:hows$}  MODELS\n", "ID", "NAME", "PROTOCOL", "STATUS");
    for row in &rows {
        let models = row.models.iter().map(|model| model.id).collect::<Vec<_>>().join(", ");
        // Writing into a string does not fail.
        let _ = writeln!(
            text,
            "{:ids$}  {:names$}  {:protocols$}  {:hows$}  {models}",
            row.id, row.name, row.protocol, row.how
        );
    }
    Ok(text)
}

/// What is configured, then what is known.
pub(crate) fn of(settings: &Settings) -> Vec<Row<'_>> {
    rows(settings, super::environment)
}

pub(super) fn rows(settings: &Settings, environment: impl Fn(&str) -> Option<String>) -> Vec<Row<'_>> {
    let is_new = |known: &&KnownProvider| settings.providers.iter().all(|provider| provider.id != known.id);
    let others = known::providers().iter().filter(is_new).map(|known| of_known(known, &environment));
    settings.providers.iter().map(|provider| of_settings(provider, &environment)).chain(others).collect()
}

fn of_settings<'a>(provider: &'a config::Provider, environment: &impl Fn(&str) -> Option<String>) -> Row<'a> {
    let known = known::provider(&provider.id);
    let models = match known {
        Some(known) if provider.models.is_empty() => of_models(known),
        _ => provider.models.iter().map(|model| of_model(model, known)).collect(),
    };
    let wants_key = known.is_some_and(|known| known.auth != Auth::None) && provider.base_url.is_none();
    let has_key = super::configured(provider, environment).is_ok_and(|config| config.api_key.is_some());
    Row {
        id: &provider.id,
        name: known.map_or(&provider.id, |known| &known.name),
        protocol: provider.protocol.map_or("", |protocol| protocol.as_str()),
        configured: true,
        how: if wants_key && !has_key { "configured, but has no key" } else { "configured" }.to_owned(),
        models,
    }
}

fn of_known<'a>(known: &'a KnownProvider, environment: &impl Fn(&str) -> Option<String>) -> Row<'a> {
    let is_demo = known.base_url.is_none();
    let is_offered = super::by_key(known, environment).is_some();
    let how = match &known.key_variable {
        _ if is_demo => "always there".to_owned(),
        None if known.id == "ollama" => "found where it runs".to_owned(),
        Some(variable) if is_offered => format!("found by {variable}"),
        Some(variable) if !known.shared_key => {
            let parameters = known.parameters.values().map(|variable| format!(" and {variable}"));
            format!("set {variable}{}", parameters.collect::<String>())
        }
        _ => format!("[[providers]] id = \"{}\"{}", known.id, if known.auth == Auth::None { "" } else { ", api_key" }),
    };
    Row {
        id: &known.id,
        name: &known.name,
        protocol: known.protocol.as_str(),
        configured: is_offered || is_demo,
        how,
        models: of_models(known),
    }
}

fn of_model<'a>(model: &'a config::Model, known: Option<&'a KnownProvider>) -> Model<'a> {
    let told = Model::new(&model.id, known.and_then(|known| known.model(&model.id)));
    let price = model.price.map(|price| Cow::Owned(Price::from(account::Price::from(price))));
    Model {
        context_window: model.context_window.map(u64::from),
        max_output: model.max_output.map(|most| most.get().into()).or(told.max_output),
        price: price.or(told.price),
        ..told
    }
}

fn of_models(known: &KnownProvider) -> Vec<Model<'_>> {
    known.models.iter().map(|model| Model::new(&model.id, Some(model))).collect()
}

impl<'a> Model<'a> {
    pub(crate) fn new(id: &'a str, known: Option<&'a KnownModel>) -> Self {
        let today = Utc::now().date_naive();
        Self {
            id,
            context_window: known.and_then(|known| known.context_window),
            max_output: known.and_then(|known| known.max_output),
            takes: known.map(|known| known.takes.as_slice()).unwrap_or_default(),
            can: known.map(|known| known.can.as_slice()).unwrap_or_default(),
            price: known.and_then(|known| Price::of_day(&known.prices, today)).map(Cow::Borrowed),
        }
    }
}
