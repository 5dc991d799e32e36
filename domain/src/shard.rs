//! Which shard an aggregate belongs to.

use sha2::{Digest, Sha256};

/// A shard's number, from 0.
pub type Shard = u16;

/// The shard of an aggregate among `count`: the first four bytes of the SHA-256 of its id, modulo the count.
///
/// `migrations/` computes the same in SQL for rows written without us, so neither may change alone; a store test compares them.
pub fn shard_of(aggregate_id: &str, count: Shard) -> Shard {
    let digest = Sha256::digest(aggregate_id.as_bytes());
    let head = u32::from_be_bytes([digest[0], digest[1], digest[2], digest[3]]);
    // The remainder is below `count`, which is a u16.
    #[expect(clippy::cast_possible_truncation, reason = "a remainder of a u16 fits a u16")]
    let shard = (head % u32::from(count.max(1))) as Shard;
    shard
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A database's rows lie where these say: they may never change.
    #[test]
    fn an_aggregate_stays_in_its_shard() {
        for (id, shards) in [
            ("", [0, 2, 2, 42995]),
            ("conversation", [0, 2, 2, 26359]),
            ("00000000-0000-0000-0000-000000000000", [0, 0, 12, 18997]),
            ("0190163d-8694-739b-aea5-966c26f8ad91", [0, 0, 8, 9512]),
            ("f47ac10b-58cc-4372-a567-0e02b2c3d479", [0, 1, 5, 39781]),
            ("ä", [0, 3, 15, 2854]),
        ] {
            assert_eq!([1, 4, 16, 65_535].map(|count| shard_of(id, count)), shards, "{id}");
        }
    }

    #[test]
    fn no_shards_count_as_one() {
        assert_eq!(shard_of("0190163d-8694-739b-aea5-966c26f8ad91", 0), 0);
    }

    #[test]
    fn aggregates_spread_evenly() {
        let mut counts = [0; 16];
        for n in 0..16_000u128 {
            counts[usize::from(shard_of(&uuid::Uuid::from_u128(n).to_string(), 16))] += 1;
        }
        assert!(counts.iter().all(|count| (850..1150).contains(count)), "{counts:?}");
    }
}
