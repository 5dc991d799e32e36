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
