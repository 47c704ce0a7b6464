//! Which rule wins when several explain the same: the more special cause before the more general one.

/// Chains of rule names: each wins over those behind it.
const CHAINS: &[&[&str]] = &[
    &[
        "destination-unreachable",
        "large-request-lost",
        "nat-binding-expired",
        "response-misdirected",
        "response-ignored",
        "return-path-lost",
        "next-hop-silent",
    ],
    &[
        "realm-mismatch",
        "digest-uri-mismatch",
        "digest-algorithm-unsupported",
        "old-nonce-reused",
        "nonce-count-replayed",
        "retry-not-renumbered",
        "nonce-never-accepted",
        "credentials-rejected",
        "challenge-not-answered",
    ],
    &[
        "cancel-crossed-answer",
        "ack-malformed",
        "in-dialog-request-misrouted",
        "record-route-bypassed",
        "contact-unreachable",
        "ack-missing",
    ],
    &["session-refresh-failed", "session-timer-expired"],
    &[
        "late-offer-unsupported",
        "body-type-unsupported",
        "media-profile-mismatch",
        "media-keying-mismatch",
        "address-family-mismatch",
        "bandwidth-insufficient",
        "no-common-codec",
    ],
    &[
        "trunk-congested",
        "trunk-out-of-order",
        "server-overloaded",
        "server-in-maintenance",
        "overload-backoff-ignored",
        "server-fault",
    ],
    &["registration-lapsed", "callee-unreachable", "user-unknown"],
    &["registration-lapsed", "number-not-routable"],
    &["registration-lapsed", "timeout-at-responder"],
    &["refused-by-policy", "rejected-by-callee"],
    &["retry-not-renumbered", "server-fault"],
    &["prack-missing", "server-fault"],
    &["redirect-target-failed", "request-uri-without-user", "number-not-routable"],
    &["redirect-target-failed", "callee-unreachable"],
    &["connection-failed", "next-hop-silent"],
    &["connection-failed", "silent-downstream"],
    &["connection-failed", "server-fault"],
    &["connection-failed", "callee-unreachable"],
    &["connection-failed", "timeout-at-responder"],
    // What a scanner gets is right, whatever it is.
    &["scanner", "address-of-record-refused"],
    &["scanner", "challenge-not-answered"],
    &["scanner", "credentials-rejected"],
    &["scanner", "user-unknown"],
    &["scanner", "number-not-routable"],
    &["scanner", "method-unsupported"],
    &["scanner", "next-hop-silent"],
    &["next-hop-silent", "callee-unreachable"],
    &["ring-timeout", "callee-did-not-answer"],
    &["ring-timeout", "timeout-at-responder"],
    &["ring-timeout", "timeout-behind-proxy"],
    &["fork-ended-by-global-failure", "rejected-by-callee"],
    &["number-changed-after-signing", "identity-rejected"],
    &["address-of-record-refused", "refused-by-policy"],
    &[
        "replaces-unmatched",
        "subscription-dead",
        "dialog-state-lost",
        "dialog-identifiers-wrong",
        "request-after-dialog-end",
    ],
];

/// True if the first rule wins over the second where both hold.
pub(crate) fn outranks(winner: &str, loser: &str) -> bool {
    CHAINS.iter().any(|chain| {
        let place = |name: &str| chain.iter().position(|known| *known == name);
        matches!((place(winner), place(loser)), (Some(higher), Some(lower)) if higher < lower)
    })
}
