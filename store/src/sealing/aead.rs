//! ChaCha20-Poly1305 as `ring` has it: the nonce, which is random, stands before the ciphertext and its tag.
//!
//! A data key seals once. A key-encryption key seals once for each key that is saved, far from the 2³² at which random
//! nonces of 96 bits begin to be a risk.

use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::rand::{SecureRandom, SystemRandom};
use zeroize::Zeroizing;

/// The bytes of a key.
pub(super) const KEY_BYTES: usize = 32;

/// A key at work.
pub(super) struct Cipher(LessSafeKey);

impl Cipher {
    /// With this key; none when it has not [`KEY_BYTES`].
    pub(super) fn new(key: &[u8]) -> Option<Self> {
        UnboundKey::new(&CHACHA20_POLY1305, key).ok().map(|key| Self(LessSafeKey::new(key)))
    }

    /// Seals; none when there are no random numbers.
    pub(super) fn seal(&self, bound_to: &[u8], plain: &[u8]) -> Option<Vec<u8>> {
        let mut nonce = [0; NONCE_LEN];
        SystemRandom::new().fill(&mut nonce).ok()?;
        // Room for all of it, so that no plaintext is left behind where it was first.
        let mut text = Vec::with_capacity(NONCE_LEN + plain.len() + CHACHA20_POLY1305.tag_len());
        text.extend_from_slice(&nonce);
        text.extend_from_slice(plain);
        let (_, body) = text.split_at_mut(NONCE_LEN);
        let nonce = Nonce::assume_unique_for_key(nonce);
        let tag = self.0.seal_in_place_separate_tag(nonce, Aad::from(bound_to), body).ok()?;
        text.extend_from_slice(tag.as_ref());
        Some(text)
    }

    /// Opens; none when it was sealed by another key, bound to something else, or changed.
    pub(super) fn open(&self, bound_to: &[u8], sealed: Vec<u8>) -> Option<Zeroizing<Vec<u8>>> {
        // What is opened in place is plaintext from here on.
        let mut text = Zeroizing::new(sealed);
        let (nonce, body) = text.split_at_mut_checked(NONCE_LEN)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
        let plain = self.0.open_in_place(nonce, Aad::from(bound_to), body).ok()?;
        Some(Zeroizing::new(plain.to_vec()))
    }
}

/// A random key; none when there are no random numbers.
pub(super) fn random_key() -> Option<Zeroizing<[u8; KEY_BYTES]>> {
    let mut key = Zeroizing::new([0; KEY_BYTES]);
    SystemRandom::new().fill(&mut key[..]).ok()?;
    Some(key)
}
