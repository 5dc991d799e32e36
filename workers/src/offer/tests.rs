use domain::Decide;
use domain::account::Event;
use store::sealing::PlainKey;

use super::*;
use crate::provider::address::Reach;
use crate::provider::route::RouteConfig;
use crate::provider::{Deadlines, ModelConfig, Protocol, ProviderConfig};

const INSTALLATIONS_KEY: &str = "key-of-the-installation";
const ANNS_KEY: &str = "key-of-ann";
const PRICE: account::Price =
    account::Price { input: 5, cached_read: None, cache_write: None, output: 7, reasoning: None };
/// 32 times A.
const KEK: &str = "QUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUE=";

fn ann() -> Person {
    Person { tenant: "acme".parse().unwrap(), user: "ann".parse().unwrap() }
}

fn sealing() -> Arc<Sealing> {
    Arc::new(Sealing::new([(1, KEK)], 1).unwrap())
}

fn model(reference: &str) -> ModelRef {
    reference.parse().unwrap()
}

/// `openai` with a key and a model, `open` for whatever model, the demo, and a route over two of them.
fn catalog() -> Arc<Catalog> {
    _ = rustls::crypto::ring::default_provider().install_default();
    let openai = ProviderConfig {
        id: "openai".to_owned(),
        protocol: Protocol::OpenaiChat,
        base_url: Some("https://proxy.installation.example/v1".to_owned()),
        api_key: Some(INSTALLATIONS_KEY.to_owned().into()),
        access_key_id: None,
        session_token: None,
        auth: None,
        max_tokens: false,
        models: vec![ModelConfig {
            id: "m".to_owned(),
            max_output: Some(100),
            price: Some(PRICE),
            ..ModelConfig::default()
        }],
        open: false,
    };
    let open = ProviderConfig { id: "open".to_owned(), models: Vec::new(), ..openai.clone() };
    let fast = RouteConfig { id: "fast".to_owned(), models: vec![model("openai/m"), model("demo/echo")] };
    let providers = vec![openai, open, ProviderConfig::demo()];
    Arc::new(Catalog::with_routes(providers, vec![fast], None, Deadlines::default()).unwrap())
}

fn sealed(person: &Person, provider: &str, key: &str) -> SealedKey {
    let provider = provider.parse().unwrap();
    let owner = Owner { tenant: &person.tenant, user: &person.user, provider: &provider };
    sealing().seal(owner, &PlainKey::from(key.to_owned())).unwrap()
}

fn saved(provider: &str, base_url: Option<&str>, key: Option<SealedKey>) -> Event {
    let base_url = base_url.map(str::to_owned);
    Event::ProviderConfigSaved {
        provider: provider.parse().unwrap(),
        protocol: None,
        base_url,
        models: Vec::new(),
        key,
        auth: None,
        max_tokens: false,
    }
}

fn default_is(provider: &str, model: Option<&str>) -> Event {
    Event::DefaultProviderSet { provider: Some(provider.parse().unwrap()), model: model.map(str::to_owned) }
}

fn fold<A: Decide>(events: Vec<A::Event>) -> A {
    let mut state = A::default();
    for event in events {
        state.apply(event);
    }
    state
}

fn offer(events: Vec<Event>) -> Offer {
    Offer::with(fold(events), Some(&sealing()), &catalog(), Some(&ann()))
}

fn key(offer: &Offer, provider: &str) -> Option<String> {
    let config = offer.provider(provider).unwrap().unwrap().config;
    config.api_key.as_ref().map(|key| key.expose().to_owned())
}

fn kind_of(refused: Result<Connected, Error>) -> (ErrorKind, String) {
    let error = refused.err().unwrap();
    (error.kind, error.message)
}

#[test]
fn a_person_without_providers_has_the_installations() {
    for offer in [offer(vec![]), Offer::with(Account::default(), None, &catalog(), None)] {
        assert_eq!(offer.alternatives(None).unwrap(), (&[model("openai/m")][..], false));
        assert_eq!(key(&offer, "openai").as_deref(), Some(INSTALLATIONS_KEY));
        assert!(offer.resolve(&model("open/whatever")).is_ok());
        assert_eq!(kind_of(offer.resolve(&model("mine/x"))).0, ErrorKind::UnknownModel);
        assert_eq!(kind_of(offer.resolve(&model("openai/other"))).0, ErrorKind::UnknownModel);
        assert_eq!(offer.limits("openai"), Limits::default());
    }
}

#[test]
fn a_provider_of_ones_own_stands_in_the_place_of_the_installations_wholly() {
    let anns = offer(vec![saved("openai", None, Some(sealed(&ann(), "openai", ANNS_KEY)))]);
    let config = anns.provider("openai").unwrap().unwrap().config;
    assert_eq!(config.base_url.as_deref(), Some("https://api.openai.com/v1"), "not the installation's proxy");
    assert_eq!(key(&anns, "openai").as_deref(), Some(ANNS_KEY));
    assert_eq!(config.models[0].id, "gpt-6-luna", "not the installation's models");
    assert!(anns.resolve(&model("openai/gpt-6-luna")).is_ok());
    assert!(anns.resolve(&model("openai/of-yesterday")).is_ok(), "she named none, and the catalogue knows a few");
    assert!(anns.resolve(&model("open/x")).is_ok(), "the others are there as before");

    let keyless = offer(vec![saved("openai", Some("https://anns.example/v1"), None)]);
    assert_eq!(key(&keyless, "openai"), None, "the installation's key goes to no address of a person's");
}

#[test]
fn what_people_do_with_their_own_is_in_nobodys_figures() {
    let names = |offer: &Offer, reference: &str| {
        let Names { provider, model } = offer.names(&model(reference));
        format!("{provider} {model}")
    };
    let anns = offer(vec![
        saved("openai", Some("https://anns.example/v1"), None),
        saved("anthropic", None, None),
        saved("mine", Some("https://anns.example/v1"), None),
    ]);
    for own in ["openai/m", "openai/gpt-6-luna", "anthropic/claude-sonnet-5-5", "mine/x"] {
        assert_eq!(names(&anns, own), "own other", "{own}");
    }
    assert_eq!(names(&anns, "demo/echo"), "demo echo");
    assert_eq!(names(&offer(vec![]), "openai/m"), "openai m");
}

#[test]
fn a_route_asks_the_persons_own_where_they_have_one() {
    let mut own = saved("openai", Some("https://anns.example/v1"), None);
    if let Event::ProviderConfigSaved { models, .. } = &mut own {
        models.push(account::Model { id: "n".to_owned(), ..account::Model::default() });
    }
    let anns = offer(vec![own]);
    let route = model("route/fast");
    let (models, is_route) = anns.alternatives(Some(&route)).unwrap();
    assert_eq!((models, is_route), (&[model("openai/m"), model("demo/echo")][..], true));
    // She has named the models of hers, and this is none of them.
    assert_eq!(kind_of(anns.resolve(&models[0])).0, ErrorKind::UnknownModel);
    assert!(anns.resolve(&models[1]).is_ok());
}

#[test]
fn a_model_has_the_terms_of_whoever_has_its_provider() {
    let terms = |offer: &Offer, reference: &str| {
        let Terms { max_output, prices } = offer.terms(&model(reference));
        (max_output, prices.first().map(|price| (price.input, price.version.clone())))
    };
    let configured = |input| Some((input, "configured".to_owned()));
    let catalogues = |reference: &str| {
        let known = known::model(&model(reference)).unwrap();
        (known.max_output, known.prices.first().map(|price| (price.input, price.version.clone())))
    };
    let installations = offer(vec![]);
    assert_eq!(terms(&installations, "openai/m"), (Some(100), configured(5)));
    assert_eq!(terms(&installations, "openai/gpt-6-luna"), catalogues("openai/gpt-6-luna"));
    assert_eq!(terms(&installations, "mine/x"), (None, None));

    let mut own = saved("openai", Some("https://anns.example/v1"), None);
    if let Event::ProviderConfigSaved { models, .. } = &mut own {
        let price = account::Price { input: 9, ..PRICE };
        models.push(account::Model { id: "gpt-6-luna".to_owned(), price: Some(price), ..account::Model::default() });
    }
    let anns = offer(vec![own]);
    assert_eq!(terms(&anns, "openai/gpt-6-luna"), (catalogues("openai/gpt-6-luna").0, configured(9)));
    assert_eq!(terms(&anns, "openai/m"), (None, None), "what the installation pays is not what she does");
}

#[test]
fn the_default_is_the_persons_else_the_installations() {
    let mine = || saved("mine", Some("https://mine.example/v1"), None);
    for (events, answers) in [
        (vec![mine()], Ok("openai/m")),
        (vec![mine(), default_is("mine", Some("x"))], Ok("mine/x")),
        (vec![saved("anthropic", None, None), default_is("anthropic", None)], Ok("anthropic/claude-sonnet-5-5")),
        (vec![default_is("demo", None)], Ok("demo/echo")),
        (vec![default_is("route", Some("fast"))], Ok("openai/m")),
        (vec![default_is("route", None)], Ok("openai/m")),
        (
            vec![default_is("mine", Some("x")), Event::DefaultProviderSet { provider: None, model: None }],
            Ok("openai/m"),
        ),
        // Nobody knows which model it has.
        (vec![mine(), default_is("mine", None)], Err(())),
        (vec![default_is("open", None)], Err(())),
    ] {
        let offer = offer(events.clone());
        let first = offer.alternatives(None).map(|(models, _)| models[0].clone());
        assert_eq!(first.map_err(drop), answers.map(model), "{events:?}");
        // A model that is named is asked, whatever the default.
        assert!(offer.alternatives(Some(&model("demo/echo"))).is_ok());
    }
}

#[test]
fn what_cannot_be_called_says_so() {
    let public = |base_url| offer(vec![saved("mine", Some(base_url), None)]);
    for base_url in ["http://mine.example/v1", "https://127.0.0.1/v1", "https://localhost/v1", "https://10.0.0.1"] {
        let (kind, message) = kind_of(public(base_url).resolve(&model("mine/x")));
        assert_eq!(kind, ErrorKind::UnknownModel, "{base_url}");
        assert!(message.starts_with("mine: its base_url cannot be used"), "{message}");
    }
    let catalog = Arc::new(Arc::into_inner(catalog()).unwrap().with_peoples_reach(Reach::Anywhere));
    let account = || fold(vec![saved("mine", Some("http://127.0.0.1:1/v1"), None)]);
    assert!(Offer::with(account(), None, &catalog, Some(&ann())).resolve(&model("mine/x")).is_ok());
    let (kind, message) = kind_of(offer(vec![saved("azure", None, None)]).resolve(&model("azure/x")));
    assert_eq!(kind, ErrorKind::UnknownModel);
    assert!(message.contains("base_url"), "{message}");
}

#[test]
fn a_key_opens_for_its_owner_and_provider_alone() {
    let ben = Person { user: "ben".parse().unwrap(), ..ann() };
    let account = || vec![saved("openai", None, Some(sealed(&ann(), "openai", ANNS_KEY)))];
    let of_another = vec![saved("openai", None, Some(sealed(&ben, "openai", ANNS_KEY)))];
    let for_another = vec![saved("openai", None, Some(sealed(&ann(), "groq", ANNS_KEY)))];
    let catalog = catalog();
    for (offer, why) in [
        (Offer::with(fold(account()), None, &catalog, Some(&ann())), "no key-encryption keys"),
        (offer(of_another), "save it again"),
        (offer(for_another), "save it again"),
    ] {
        let (kind, message) = kind_of(offer.resolve(&model("openai/gpt-6-luna")));
        assert_eq!(kind, ErrorKind::Auth);
        assert!(message.starts_with("openai: ") && message.contains(why), "{message}");
    }
}

#[test]
fn a_credential_has_a_name_that_reveals_nothing() {
    let (seal, other_seal) = (sealed(&ann(), "openai", ANNS_KEY), sealed(&ann(), "openai", ANNS_KEY));
    let anns = |base_url, key: &SealedKey| offer(vec![saved("openai", base_url, Some(key.clone()))]);
    let id = |offer: &Offer| offer.credential_id("openai");
    let elsewhere = Some("https://elsewhere.example/v1");
    let ids = [
        id(&offer(vec![])),
        offer(vec![]).credential_id("demo"),
        id(&anns(None, &seal)),
        id(&anns(None, &other_seal)),
        id(&anns(elsewhere, &seal)),
        id(&Offer { person: Some(Person { user: "ben".parse().unwrap(), ..ann() }), ..anns(None, &seal) }),
    ];
    let different: std::collections::BTreeSet<&String> = ids.iter().collect();
    assert_eq!(different.len(), ids.len(), "{ids:?}");
    assert!(ids.iter().all(|id| id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit())));

    let rewrapped = SealedKey { kek: 2, wrapped: "b3RoZXI=".to_owned(), ..seal.clone() };
    assert_eq!(id(&anns(None, &seal)), id(&anns(None, &rewrapped)), "it is the same key");
}
