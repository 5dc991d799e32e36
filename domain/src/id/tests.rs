//! What is an identifier and what is not.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use super::*;

/// What each kind of name takes and what not.
fn names_keep_their_limits<N>()
where
    N: FromStr<Err = NameError> + TryFrom<String, Error = NameError> + fmt::Display + fmt::Debug + PartialEq,
    N: Serialize + for<'de> Deserialize<'de>,
{
    for good in ["a", " ", "auth0|5f7c8ec7", "ann@example.com", "user:1", "Zoë", &"x".repeat(255), &"ä".repeat(127)] {
        let name: N = good.parse().unwrap();
        assert_eq!(name.to_string(), good);
        let json = serde_json::to_string(&name).unwrap();
        assert_eq!(json, serde_json::to_string(good).unwrap());
        assert_eq!(serde_json::from_str::<N>(&json).unwrap(), name);
    }
    for bad in ["", "a\0b", "a\nb", "\u{7f}", "\u{85}", &"x".repeat(256), &"ä".repeat(128)] {
        assert_eq!(bad.parse::<N>(), Err(NameError), "{bad:?}");
        assert_eq!(N::try_from(bad.to_owned()), Err(NameError), "{bad:?}");
        assert!(serde_json::from_value::<N>(bad.into()).is_err(), "{bad:?}");
    }
}

#[test]
fn a_user_has_a_name_of_1_to_255_bytes() {
    names_keep_their_limits::<UserId>();
}

#[test]
fn a_tenant_has_a_name_of_1_to_255_bytes() {
    names_keep_their_limits::<Tenant>();
}

#[test]
fn a_model_is_named_by_its_provider_and_itself() {
    for (text, provider, model) in [
        ("openai/gpt-5", "openai", "gpt-5"),
        ("openrouter/meta/llama-4:free", "openrouter", "meta/llama-4:free"),
        ("a//", "a", "/"),
    ] {
        let named: ModelRef = text.parse().unwrap();
        assert_eq!((named.provider(), named.model(), named.as_str()), (provider, model, text));
        assert_eq!(serde_json::to_value(&named).unwrap(), text);
        assert_eq!(serde_json::from_value::<ModelRef>(text.into()).unwrap(), named);
    }
}

#[test]
fn a_model_without_a_provider_or_a_name_is_none() {
    for bad in ["", "/", "gpt-5", "openai/", "/gpt-5", "openai/gpt\0", "openai/gpt\n5"] {
        assert_eq!(bad.parse::<ModelRef>(), Err(ModelRefError), "{bad:?}");
        assert!(serde_json::from_value::<ModelRef>(bad.into()).is_err(), "{bad:?}");
    }
}

#[test]
fn a_models_name_has_at_most_200_bytes() {
    assert!(format!("p/{}", "x".repeat(198)).parse::<ModelRef>().is_ok());
    assert_eq!(format!("p/{}", "x".repeat(199)).parse::<ModelRef>(), Err(ModelRefError));
    assert_eq!(format!("p/{}", "ä".repeat(100)).parse::<ModelRef>(), Err(ModelRefError));
}

#[test]
fn ids_are_written_as_uuids() {
    let text = "0190163d-8694-739b-aea5-966c26f8ad91";
    let id: ConversationId = text.parse().unwrap();
    assert_eq!(id.to_string(), text);
    assert_eq!(serde_json::to_value(id).unwrap(), text);
    assert_eq!(serde_json::from_value::<ConversationId>(text.into()).unwrap(), id);
    assert!("0190163d".parse::<ConversationId>().is_err());
}

/// A command that is sent again, even by a later version of us, must name the same message: these may never change.
#[test]
fn what_a_command_names_follows_from_its_id() {
    let command = CommandId(Uuid::from_u128(1));
    assert_eq!(command.derive("message").to_string(), "af72cbc0-0166-588f-b980-aa92e47df792");
    assert_eq!(command.derive("reply").to_string(), "7e543acc-9963-5c5c-b720-447c5c096dba");
    assert_ne!(CommandId(Uuid::from_u128(2)).derive("reply"), command.derive("reply"));
}
