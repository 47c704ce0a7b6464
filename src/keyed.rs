//! Hash tables for what comes from the network: their hash is keyed anew in each run, so that nobody can send what
//! falls into one place. Faster than the standard library's, and made for the same end.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

/// The hash, with keys of its own.
pub(crate) type Keyed = ahash::RandomState;

/// A table by keys that are hashed.
pub(crate) type Table<K, V> = HashMap<K, V, Keyed>;

/// A table by what [`Keyed`] has hashed already.
pub(crate) type ByHash<V> = HashMap<u64, V, BuildHasherDefault<AsItIs>>;

/// Takes a hash as it is.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct AsItIs(u64);

impl Hasher for AsItIs {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }
}
