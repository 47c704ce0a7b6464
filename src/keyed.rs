//! Hash tables for what comes from the network: their hash is keyed anew in each run, so that nobody can send what
//! falls into one place. Faster than the standard library's, and made for the same end.

use std::collections::{BTreeMap, HashMap};
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::LazyLock;

use serde::{Serialize, Serializer};

/// The hash, with keys of its own.
pub(crate) type Keyed = ahash::RandomState;

/// The hash of bytes in this run.
pub(crate) fn hash_of(bytes: &[u8]) -> u64 {
    static KEYED: LazyLock<Keyed> = LazyLock::new(Keyed::default);
    KEYED.hash_one(bytes)
}

/// A table by keys that are hashed.
pub(crate) type Table<K, V> = HashMap<K, V, Keyed>;

/// A table in the order of its keys.
pub(crate) fn ordered<K: Ord, V>(table: &Table<K, V>) -> BTreeMap<&K, &V> {
    table.iter().collect()
}

/// Writes a table in the order of its keys: for `serialize_with`.
pub(crate) fn in_order<K, V, S>(table: &Table<K, V>, serializer: S) -> Result<S::Ok, S::Error>
where
    K: Serialize + Ord,
    V: Serialize,
    S: Serializer,
{
    ordered(table).serialize(serializer)
}

/// Writes a table of tables, each in the order of its keys: for `serialize_with`.
pub(crate) fn each_in_order<K, J, V, S>(tables: &Table<K, Table<J, V>>, serializer: S) -> Result<S::Ok, S::Error>
where
    K: Serialize + Ord,
    J: Serialize + Ord,
    V: Serialize,
    S: Serializer,
{
    let in_order: BTreeMap<&K, BTreeMap<&J, &V>> = tables.iter().map(|(key, table)| (key, ordered(table))).collect();
    in_order.serialize(serializer)
}

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

/// For keys that count upwards and that no packet chooses, such as numbers of connections: neighbours stay neighbours,
/// so that a row of new ones finds its place in the processor's cache.
pub(crate) type Counted = BuildHasherDefault<AsCounted>;

/// Takes a number as it is; its last bits also stand first, where a table looks for what tells entries apart.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct AsCounted(u64);

impl Hasher for AsCounted {
    fn finish(&self) -> u64 {
        self.0 ^ (self.0 << 57)
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u64(&mut self, number: u64) {
        self.0 = number;
    }
}
