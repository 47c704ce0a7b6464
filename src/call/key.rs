//! The portable key of a call.

/// A fixed 64-bit hash of the Call-ID, for partitioning and look-up across runs and machines: FNV-1a over the bytes of
/// the Call-ID as it was sent (offset basis `0xcbf29ce484222325`, prime `0x100000001b3`).
///
/// It is not keyed: never use it for tables that hold what an attacker chose.
///
/// ```
/// assert_eq!(sipwhy::call::call_key(b""), 0xcbf29ce484222325);
/// assert_eq!(sipwhy::call::call_key(b"a"), 0xaf63dc4c8601ec8c);
/// assert_eq!(sipwhy::call::call_key(b"foobar"), 0x85944171f73967e8);
/// ```
pub fn call_key(call_id: &[u8]) -> u64 {
    call_id
        .iter()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3))
}
