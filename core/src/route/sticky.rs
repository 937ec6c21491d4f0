//! A user's key in, the user's place in the split out: the same at every proxy, for as long as the
//! salt is the same.

use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

/// What a salt does to the hash; computed once per configuration.
pub fn seed(salt: &[u8]) -> u64 {
    xxh3_64(salt)
}

/// The bucket of a key, 0 to 9,999. The key is in the canary while its bucket is below the weight
/// in basis points, so a growing weight only ever moves users towards the canary.
pub fn bucket(seed: u64, key: &[u8]) -> u16 {
    scale(xxh3_64_with_seed(key, seed))
}

/// Maps all of `u64` evenly to 0 to 9,999, without a division's bias towards small remainders.
pub(super) fn scale(hash: u64) -> u16 {
    let buckets = u128::from(crate::wire::WEIGHT_ALL);
    u16::try_from((u128::from(hash) * buckets) >> 64).unwrap_or(u16::MAX)
}
