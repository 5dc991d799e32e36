//! What is sealed opens for its owner, under its version, unchanged; and never otherwise.

use super::*;

const KEY: &str = "sk-test-0123456789abcdef-WXYZ";

fn kek(n: u8) -> String {
    STANDARD.encode([n; KEY_BYTES])
}

fn sealing(versions: &[u32], current: u32) -> Sealing {
    let keys: Vec<(u32, String)> =
        versions.iter().map(|version| (*version, kek(u8::try_from(*version).unwrap()))).collect();
    Sealing::new(keys.iter().map(|(version, key)| (*version, key.as_str())), current).unwrap()
}

fn plain(key: &str) -> PlainKey {
    PlainKey::from(key.to_owned())
}

/// Runs `with` as `tenant/user/provider`.
fn as_owner<T>(owner: &str, with: impl FnOnce(Owner<'_>) -> T) -> T {
    let [tenant, user, provider] = owner.split('/').collect::<Vec<_>>()[..] else { panic!("{owner}") };
    let (tenant, user, provider) = (tenant.parse().unwrap(), user.parse().unwrap(), provider.parse().unwrap());
    with(Owner { tenant: &tenant, user: &user, provider: &provider })
}

fn seal(sealing: &Sealing, key: &str) -> SealedKey {
    as_owner("acme/ann/openai", |owner| sealing.seal(owner, &plain(key))).unwrap()
}

fn open(sealing: &Sealing, owner: &str, key: &SealedKey) -> Result<String, SealingError> {
    as_owner(owner, |owner| sealing.open(owner, key)).map(|key| key.expose().to_owned())
}

fn rewrapped(sealing: &Sealing, key: &SealedKey) -> SealedKey {
    let wrapped = as_owner("acme/ann/openai", |owner| sealing.rewrap(owner, key)).unwrap().unwrap();
    SealedKey { kek: sealing.current(), wrapped, ..key.clone() }
}

#[test]
fn what_is_sealed_opens_and_does_not_show() {
    let sealing = sealing(&[1], 1);
    let sealed = seal(&sealing, KEY);
    assert_eq!(open(&sealing, "acme/ann/openai", &sealed).unwrap(), KEY);
    assert_eq!((sealed.kek, sealed.last_four.as_str()), (1, "WXYZ"));
    let all = format!("{} {}", sealed.wrapped, sealed.sealed);
    assert!(!all.contains(KEY) && !all.contains(&STANDARD.encode(KEY)), "{all}");
    let again = seal(&sealing, KEY);
    assert!(again.wrapped != sealed.wrapped && again.sealed != sealed.sealed, "each time it is sealed anew");
}

#[test]
fn it_opens_for_nobody_else() {
    let sealing = sealing(&[1], 1);
    let sealed = seal(&sealing, KEY);
    for other in ["other/ann/openai", "acme/eve/openai", "acme/ann/groq"] {
        assert_eq!(open(&sealing, other, &sealed), Err(SealingError::DoesNotOpen), "{other}");
        let rewrapped = as_owner(other, |owner| self::sealing(&[1, 2], 2).rewrap(owner, &sealed));
        assert_eq!(rewrapped, Err(SealingError::DoesNotOpen), "{other}");
    }
}

#[test]
fn a_changed_byte_anywhere_keeps_it_shut() {
    let sealing = sealing(&[1], 1);
    let sealed = seal(&sealing, KEY);
    for at in 0..STANDARD.decode(&sealed.wrapped).unwrap().len() {
        let changed = SealedKey { wrapped: changed(&sealed.wrapped, at), ..sealed.clone() };
        assert_eq!(open(&sealing, "acme/ann/openai", &changed), Err(SealingError::DoesNotOpen), "wrap {at}");
    }
    for at in 0..STANDARD.decode(&sealed.sealed).unwrap().len() {
        let changed = SealedKey { sealed: changed(&sealed.sealed, at), ..sealed.clone() };
        assert_eq!(open(&sealing, "acme/ann/openai", &changed), Err(SealingError::DoesNotOpen), "key {at}");
    }
    for cut in ["", "AAAA", "not base64!"] {
        let wrap = SealedKey { wrapped: cut.to_owned(), ..sealed.clone() };
        let key = SealedKey { sealed: cut.to_owned(), ..sealed.clone() };
        for cut in [wrap, key] {
            assert_eq!(open(&sealing, "acme/ann/openai", &cut), Err(SealingError::DoesNotOpen));
        }
    }
}

fn changed(base64: &str, at: usize) -> String {
    let mut bytes = STANDARD.decode(base64).unwrap();
    bytes[at] ^= 1;
    STANDARD.encode(bytes)
}

#[test]
fn wraps_and_keys_do_not_take_each_others_place() {
    let sealing = sealing(&[1], 1);
    let (one, other) = (seal(&sealing, KEY), seal(&sealing, "another key of the same owner"));
    for mixed in [
        SealedKey { wrapped: other.wrapped.clone(), ..one.clone() },
        SealedKey { sealed: one.wrapped.clone(), ..one.clone() },
        SealedKey { wrapped: one.sealed.clone(), ..one.clone() },
    ] {
        assert_eq!(open(&sealing, "acme/ann/openai", &mixed), Err(SealingError::DoesNotOpen));
    }
}

#[test]
fn rotation_changes_the_wrap_alone_and_needs_the_old_version_until_it_has_run() {
    let (old, both, new) = (sealing(&[1], 1), sealing(&[1, 2], 2), sealing(&[2], 2));
    let before = seal(&old, KEY);
    assert_eq!(open(&both, "acme/ann/openai", &before).unwrap(), KEY, "the old version opens until then");
    assert_eq!(open(&new, "acme/ann/openai", &before), Err(SealingError::MissingVersion { version: 1 }));
    let missing = as_owner("acme/ann/openai", |owner| new.rewrap(owner, &before));
    assert_eq!(missing, Err(SealingError::MissingVersion { version: 1 }));

    let after = rewrapped(&both, &before);
    assert_eq!((after.kek, &after.sealed, &after.last_four), (2, &before.sealed, &before.last_four));
    assert_eq!(open(&new, "acme/ann/openai", &after).unwrap(), KEY, "the old version can go");
    assert_eq!(open(&old, "acme/ann/openai", &after), Err(SealingError::MissingVersion { version: 2 }));
    assert_eq!(as_owner("acme/ann/openai", |owner| both.rewrap(owner, &after)), Ok(None), "nothing is left to do");
}

#[test]
fn a_wrap_says_no_other_version_than_its_own() {
    let twice_the_same = Sealing::new([(1, kek(7).as_str()), (2, kek(7).as_str())], 1).unwrap();
    let sealed = SealedKey { kek: 2, ..seal(&twice_the_same, KEY) };
    assert_eq!(open(&twice_the_same, "acme/ann/openai", &sealed), Err(SealingError::DoesNotOpen));
}

#[test]
fn what_is_no_key_is_refused() {
    let no_key = |key: &str| Sealing::new([(3, key)], 3).unwrap_err();
    for key in ["", "short", &STANDARD.encode([0; 31]), &STANDARD.encode([0; 33]), "ä"] {
        assert_eq!(no_key(key), SealingError::NotAKey { version: 3 });
    }
    let missing = Sealing::new([(1, kek(1).as_str())], 2).unwrap_err();
    assert_eq!(missing, SealingError::MissingVersion { version: 2 });
    for key in [String::new(), "k".repeat(MAX_KEY_BYTES + 1)] {
        let sealed = as_owner("acme/ann/openai", |owner| sealing(&[1], 1).seal(owner, &plain(&key)));
        assert_eq!(sealed, Err(SealingError::Length));
    }
}

#[test]
fn the_longest_key_fits_into_its_command() {
    let sealed = seal(&sealing(&[1], 1), &"k".repeat(MAX_KEY_BYTES));
    assert!(sealed.sealed.len() <= MAX_SEALED_BYTES);
    assert!(sealed.wrapped.len() <= domain::account::MAX_WRAPPED_BYTES);
}

#[test]
fn of_a_short_key_nothing_is_shown() {
    let sealing = sealing(&[1], 1);
    assert_eq!(seal(&sealing, "fifteen-letters").last_four, "");
    assert_eq!(seal(&sealing, "sixteen-letters!").last_four, "ers!");
    assert_eq!(seal(&sealing, "größer als sechzehn äöüß").last_four, "äöüß");
}

#[test]
fn nothing_shows_in_debug() {
    let (sealing, key) = (sealing(&[1, 2], 2), plain(KEY));
    let printed = format!("{sealing:?} {key:?} {:?}", seal(&sealing, KEY));
    assert!(!printed.contains(KEY) && !printed.contains("WXYZ") && !printed.contains(&kek(1)), "{printed}");
}

#[test]
fn a_new_key_is_one() {
    let (one, other) = (new_kek().unwrap(), new_kek().unwrap());
    assert_ne!(*one, *other);
    Sealing::new([(1, one.as_str()), (2, other.as_str())], 2).unwrap();
}
