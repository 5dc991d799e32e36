//! Sealing keys of providers: what people entrust to us lies in the log encrypted, and only there.
//!
//! Envelope encryption. Each key is encrypted by a random data key of its own, and that one, the *wrap*, by a key-encryption
//! key from the configuration, which has a version. Putting everything under another version then changes wraps alone
//! ([`Sealing::rewrap`]), and no plaintext is seen over it. Both are ChaCha20-Poly1305 with a random nonce and authenticated
//! data that names the person and the provider: what is sealed for one opens for no other, wherever it is copied to.
//!
//! The edge seals before there is a command, so that no plaintext is on the bus or in the log; whoever calls the provider opens.
//! Plaintext and data keys are wiped when they are dropped, and nothing here shows them in `Debug`.

mod aead;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use domain::account::{MAX_SEALED_BYTES, SealedKey};
use domain::{ProviderId, Tenant, UserId};
use serde::Deserialize;
use zeroize::Zeroizing;

use aead::{Cipher, KEY_BYTES};

/// The longest key of a provider that is sealed, in bytes: what fits into the command, sealed and as text.
pub const MAX_KEY_BYTES: usize = MAX_SEALED_BYTES / 4 * 3 - 64;
/// How many characters of a key are shown, and of how many at least.
const SHOWN: usize = 4;
/// See [`SHOWN`]: of a shorter key too little would stay unknown.
const SHOWN_OF: usize = 16;

/// What is not sealed, or does not open.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SealingError {
    /// The key-encryption key that it is under is not configured.
    #[error(
        "version {version} of the key-encryption keys is not configured; it is needed until `bestchat rotate-keys` has run"
    )]
    MissingVersion {
        /// Its version.
        version: u32,
    },
    /// It was sealed for another person or provider, under another key, or it was changed since.
    #[error("the sealed key does not open: it was changed, or is someone else's")]
    DoesNotOpen,
    /// The key is empty or too long.
    #[error("a key has 1 to {limit} bytes", limit = MAX_KEY_BYTES)]
    Length,
    /// A key-encryption key is none.
    #[error("version {version} of the key-encryption keys is not {bytes} bytes in base64", bytes = KEY_BYTES)]
    NotAKey {
        /// Its version.
        version: u32,
    },
    /// The system gave no random numbers.
    #[error("the system gives no random numbers")]
    NoChance,
}

/// A provider's key in the clear: hidden from logs, wiped when dropped.
#[derive(Deserialize)]
#[serde(from = "String")]
pub struct PlainKey(Zeroizing<String>);

impl PlainKey {
    /// The key itself, for whoever must present it.
    pub fn expose(&self) -> &str {
        &self.0
    }

    fn last_four(&self) -> String {
        let count = self.0.chars().count();
        if count < SHOWN_OF { String::new() } else { self.0.chars().skip(count - SHOWN).collect() }
    }
}

impl From<String> for PlainKey {
    /// Without the space around it that copying brings along.
    fn from(key: String) -> Self {
        let key = Zeroizing::new(key);
        if key.trim().len() == key.len() { Self(key) } else { Self(Zeroizing::new(key.trim().to_owned())) }
    }
}

impl fmt::Debug for PlainKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PlainKey(hidden)")
    }
}

/// Whose key it is, and for which provider.
#[derive(Clone, Copy, Debug)]
pub struct Owner<'a> {
    /// The person's tenant.
    pub tenant: &'a Tenant,
    /// The person.
    pub user: &'a UserId,
    /// The provider.
    pub provider: &'a ProviderId,
}

impl Owner<'_> {
    /// What a ciphertext is bound to. Names hold no control characters, so U+0000 divides them.
    fn bind(&self, what: &str) -> Vec<u8> {
        let Self { tenant, user, provider } = self;
        format!("bestchat/1/{what}\0{tenant}\0{user}\0{provider}").into_bytes()
    }
}

/// The key-encryption keys of an installation.
pub struct Sealing {
    versions: BTreeMap<u32, Cipher>,
    current: u32,
}

impl fmt::Debug for Sealing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let versions: Vec<&u32> = self.versions.keys().collect();
        f.debug_struct("Sealing").field("versions", &versions).field("current", &self.current).finish()
    }
}

impl Sealing {
    /// With these keys, each 32 bytes in base64, of which `current` seals.
    ///
    /// # Errors
    /// When one is no key, or the current one is missing.
    pub fn new<'a>(keys: impl IntoIterator<Item = (u32, &'a str)>, current: u32) -> Result<Self, SealingError> {
        let mut versions = BTreeMap::new();
        for (version, key) in keys {
            let key = STANDARD.decode(key.trim()).map(Zeroizing::new);
            let key = key.map_err(|_| SealingError::NotAKey { version })?;
            versions.insert(version, Cipher::new(&key).ok_or(SealingError::NotAKey { version })?);
        }
        if !versions.contains_key(&current) {
            return Err(SealingError::MissingVersion { version: current });
        }
        Ok(Self { versions, current })
    }

    /// The version that seals.
    pub fn current(&self) -> u32 {
        self.current
    }

    /// Seals a key for its owner, under the current version.
    ///
    /// # Errors
    /// When the key's length is not one.
    pub fn seal(&self, owner: Owner<'_>, key: &PlainKey) -> Result<SealedKey, SealingError> {
        if key.expose().is_empty() || key.expose().len() > MAX_KEY_BYTES {
            return Err(SealingError::Length);
        }
        let data_key = aead::random_key().ok_or(SealingError::NoChance)?;
        let cipher = Cipher::new(&*data_key).ok_or(SealingError::NoChance)?;
        let sealed = cipher.seal(&owner.bind("key"), key.expose().as_bytes()).ok_or(SealingError::NoChance)?;
        Ok(SealedKey {
            kek: self.current,
            wrapped: self.wrap(owner, &data_key[..])?,
            sealed: STANDARD.encode(sealed),
            last_four: key.last_four(),
        })
    }

    /// Opens a key.
    ///
    /// # Errors
    /// When its version is not configured, or it is not this owner's.
    pub fn open(&self, owner: Owner<'_>, key: &SealedKey) -> Result<PlainKey, SealingError> {
        let data_key = self.unwrap(owner, key)?;
        let cipher = Cipher::new(&data_key).ok_or(SealingError::DoesNotOpen)?;
        let sealed = STANDARD.decode(&key.sealed).map_err(|_| SealingError::DoesNotOpen)?;
        let plain = cipher.open(&owner.bind("key"), sealed).ok_or(SealingError::DoesNotOpen)?;
        let text = std::str::from_utf8(&plain).map_err(|_| SealingError::DoesNotOpen)?;
        Ok(PlainKey::from(text.to_owned()))
    }

    /// The wrap of a key under the current version; the key itself stays as it is. None when it is there already.
    ///
    /// # Errors
    /// When its version is not configured, or it is not this owner's.
    pub fn rewrap(&self, owner: Owner<'_>, key: &SealedKey) -> Result<Option<String>, SealingError> {
        if key.kek == self.current {
            return Ok(None);
        }
        let data_key = self.unwrap(owner, key)?;
        self.wrap(owner, &data_key).map(Some)
    }

    fn wrap(&self, owner: Owner<'_>, data_key: &[u8]) -> Result<String, SealingError> {
        let kek = self.kek(self.current)?;
        let wrapped = kek.seal(&owner.bind(&wrap_of(self.current)), data_key).ok_or(SealingError::NoChance)?;
        Ok(STANDARD.encode(wrapped))
    }

    fn unwrap(&self, owner: Owner<'_>, key: &SealedKey) -> Result<Zeroizing<Vec<u8>>, SealingError> {
        let kek = self.kek(key.kek)?;
        let wrapped = STANDARD.decode(&key.wrapped).map_err(|_| SealingError::DoesNotOpen)?;
        kek.open(&owner.bind(&wrap_of(key.kek)), wrapped).ok_or(SealingError::DoesNotOpen)
    }

    fn kek(&self, version: u32) -> Result<&Cipher, SealingError> {
        self.versions.get(&version).ok_or(SealingError::MissingVersion { version })
    }
}

fn wrap_of(version: u32) -> String {
    format!("wrap/{version}")
}

/// A new key-encryption key, in base64.
///
/// # Errors
/// When the system gives no random numbers.
pub fn new_kek() -> Result<Zeroizing<String>, SealingError> {
    let key = aead::random_key().ok_or(SealingError::NoChance)?;
    Ok(Zeroizing::new(STANDARD.encode(&key[..])))
}
