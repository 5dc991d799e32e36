//! The catalogue that an edge shows: every provider that is known, and the installation's own. Of these nobody is told more
//! than their name, what they speak and their models: where they are is the operator's matter.

use api::{CatalogModel, ModelView, PriceView, ProviderView, Providers, RateView};
use serde::Serialize;
use workers::provider::Protocol;
use workers::provider::known::{self, Auth, KnownProvider};
use workers::provider::price::Price;

use crate::config::Settings;
use crate::providers::list::{self, Model, Row};

/// The catalogue of these settings; `models` are those that conversations can choose.
pub(super) fn of(settings: &Settings, models: &[ModelView]) -> Providers {
    let keyed = |id: &str| settings.providers.iter().any(|provider| provider.id == id && provider.api_key.is_some());
    Providers {
        providers: list::of(settings).into_iter().map(|row| provider(&row, keyed(row.id), models)).collect(),
        protocols: Protocol::SPOKEN.iter().map(|protocol| protocol.as_str().to_owned()).collect(),
    }
}

/// `keyed`: the operator has given it a key.
fn provider(row: &Row<'_>, keyed: bool, models: &[ModelView]) -> ProviderView {
    let known = known::provider(row.id);
    let is_its = |model: &&ModelView| model.id.split_once('/').is_some_and(|(provider, _)| provider == row.id);
    let chosen: Vec<&ModelView> = models.iter().filter(is_its).collect();
    ProviderView {
        id: row.id.to_owned(),
        name: row.name.to_owned(),
        protocol: row.protocol.to_owned(),
        // Found on this machine, perhaps, which the settings do not tell.
        configured: row.configured || !chosen.is_empty(),
        needs_key: known.map_or(keyed, |known| known.auth != Auth::None),
        base_url: known.and_then(|known| known.base_url.clone()),
        parameters: known.map(|known| known.parameters.keys().cloned().collect()).unwrap_or_default(),
        needs_base_url: known.is_none_or(|known| !known.parameters.is_empty()),
        models: if chosen.is_empty() {
            row.models.iter().map(|it| model(row.id, it)).collect()
        } else {
            chosen.into_iter().map(|it| chosen_model(row, known, it)).collect()
        },
    }
}

/// A model that conversations can choose, with what is known of it.
fn chosen_model(row: &Row<'_>, known: Option<&KnownProvider>, chosen: &ModelView) -> CatalogModel {
    let name = chosen.id.split_once('/').map_or(chosen.id.as_str(), |(_, name)| name);
    let listed = row.models.iter().find(|model| model.id == name);
    let told = match listed {
        Some(listed) => model(row.id, listed),
        None => model(row.id, &Model::new(name, known.and_then(|known| known.model(name)))),
    };
    CatalogModel {
        label: chosen.label.clone(),
        context_window: chosen.context_window.or(told.context_window),
        default: chosen.default,
        ..told
    }
}

fn model(provider: &str, model: &Model<'_>) -> CatalogModel {
    let id = format!("{provider}/{}", model.id);
    CatalogModel {
        label: id.clone(),
        id,
        context_window: model.context_window,
        default: false,
        max_output: model.max_output,
        takes: model.takes.iter().filter_map(word).collect(),
        can: model.can.iter().filter_map(word).collect(),
        price: model.price.as_deref().map(price),
    }
}

fn price(price: &Price) -> PriceView {
    let rate = |(above, [input, cached_read, cache_write, output, reasoning]): (u64, [u64; 5])| RateView {
        above,
        input,
        cached_read,
        cache_write,
        output,
        reasoning,
    };
    PriceView { version: price.version.clone(), rates: price.steps().into_iter().map(rate).collect() }
}

/// A word of the catalogue as it is written there.
fn word(word: &impl Serialize) -> Option<String> {
    serde_json::to_value(word).ok()?.as_str().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(toml: &str) -> Settings {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("bestchat.toml"), toml).unwrap();
        Settings::from_sources(folder.path(), []).unwrap()
    }

    fn chosen(id: &str) -> ModelView {
        ModelView { id: id.to_owned(), label: id.to_owned(), context_window: None, default: true }
    }

    #[test]
    fn all_that_is_known_is_listed_and_nothing_of_the_operators_own() {
        let toml = "[[providers]]\nid='anthropic'\napi_key='hush'\nbase_url='https://proxy.internal/v1'\n\
                    [[providers]]\nid='house'\nprotocol='openai-chat'\nbase_url='http://10.0.0.1/v1'\napi_key='hush'\nmodels=[{id='m1',max_output=9,price={input=3,output=4}}]";
        let settings = settings(toml);
        let models = [chosen("anthropic/claude-opus-5"), chosen("house/m1"), chosen("ollama/tiny:1b")];
        let catalogue = of(&settings, &models);
        assert_eq!(catalogue.providers.len(), known::providers().len() + 1);
        let of = |id: &str| catalogue.providers.iter().find(|provider| provider.id == id).unwrap();

        let (anthropic, house, ollama, azure) = (of("anthropic"), of("house"), of("ollama"), of("azure"));
        assert_eq!((anthropic.name.as_str(), anthropic.protocol.as_str()), ("Anthropic", "anthropic"));
        assert!(anthropic.configured && anthropic.needs_key && !anthropic.needs_base_url);
        assert_eq!(anthropic.base_url.as_deref(), Some("https://api.anthropic.com/v1"));
        let [opus] = anthropic.models.as_slice() else { panic!("{:?}", anthropic.models) };
        assert_eq!((opus.context_window, opus.max_output, opus.default), (Some(1_000_000), Some(128_000), true));
        assert_eq!((opus.takes.join(" "), opus.can.join(" ")), ("image file".into(), "tools cache reasoning".into()));
        let rates = &opus.price.as_ref().unwrap().rates;
        assert_eq!((rates[0].above, rates[0].input, rates[0].reasoning), (0, 5_000_000, 25_000_000));

        let [m1] = house.models.as_slice() else { panic!("{:?}", house.models) };
        let price = m1.price.as_ref().unwrap();
        assert_eq!((m1.max_output, price.version.as_str()), (Some(9), "configured"));
        assert_eq!((price.rates[0].input, price.rates[0].cached_read, price.rates[0].reasoning), (3, 3, 4));
        assert!(house.configured && house.needs_key && house.needs_base_url && house.base_url.is_none());
        assert!(ollama.configured && !ollama.needs_key);
        assert_eq!(ollama.models[0].id, "ollama/tiny:1b");
        assert!(!azure.configured && azure.needs_base_url && azure.parameters == ["resource"]);
        assert!(azure.models.iter().any(|model| model.price.as_ref().is_some_and(|price| price.rates.len() == 2)));
        assert!(!of("demo").needs_base_url && of("demo").configured);
        let told = serde_json::to_string(&catalogue).unwrap();
        assert!(!told.contains("hush") && !told.contains("internal") && !told.contains("10.0.0.1"), "{told}");
        assert_eq!(catalogue.protocols.len(), 7);
        assert!(
            catalogue.protocols.contains(&"gemini".to_owned()) && !catalogue.protocols.contains(&"demo".to_owned())
        );
    }
}
