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
        "bye-unanswered",
    ],
    &["in-dialog-request-misrouted", "bye-refused"],
    &["destination-unreachable", "bye-refused"],
    &["connection-failed", "bye-refused"],
    &["cseq-regressed", "bye-refused"],
    &["ack-missing", "bye-refused"],
    &["cancel-crossed-answer", "bye-refused"],
    &["fork-not-released", "ack-missing"],
    &["destination-unreachable", "ack-missing"],
    &["destination-unreachable", "bye-unanswered"],
    &["in-dialog-request-misrouted", "dialog-state-lost"],
    &["cancel-crossed-answer", "dialog-state-lost"],
    // Who never confirmed an answer need not know of its dialog.
    &["ack-missing", "dialog-state-lost"],
    &["session-refresh-failed", "session-timer-expired"],
    &["session-timer-expired", "media-inactivity-teardown"],
    &["ack-missing", "media-inactivity-teardown"],
    &["dialog-request-unanswered", "media-inactivity-teardown"],
    &["private-media-address", "one-way-media"],
    // A port that was closed later, because the call was lost to that side.
    &["destination-unreachable", "return-path-lost", "ack-missing", "dialog-state-lost", "media-port-closed"],
    // Where the records lead elsewhere, that nobody is there is no wonder.
    &["dns-failed", "destination-unreachable"],
    &["connection-failed", "media-port-closed"],
    &["media-port-closed", "one-way-media"],
    &["media-port-closed", "media-missing"],
    &["media-port-closed", "media-inactivity-teardown"],
    &["media-keying-mismatch", "one-way-media"],
    &[
        "late-offer-unsupported",
        "body-type-unsupported",
        "media-profile-mismatch",
        "media-keying-mismatch",
        "address-family-mismatch",
        "bandwidth-insufficient",
        "no-common-codec",
    ],
    &["media-profile-mismatch", "media-keying-mismatch", "answer-unusable"],
    &["late-offer-unsupported", "server-fault"],
    &["late-offer-unsupported", "syntax-rejected"],
    &["request-uri-without-user", "syntax-rejected"],
    &["subscription-dead", "event-unsupported"],
    &["cseq-regressed", "server-fault"],
    &["timeout-behind-proxy", "server-fault"],
    &[
        "trunk-congested",
        "trunk-out-of-order",
        "server-in-maintenance",
        "server-overloaded",
        "overload-backoff-ignored",
        "server-fault",
    ],
    &["registration-lapsed", "callee-unreachable", "user-unknown"],
    &["registration-lapsed", "number-not-routable"],
    &["tls-handshake-failed", "connection-failed", "peer-probe-failed", "next-hop-silent"],
    &["tls-handshake-failed", "server-fault"],
    &["tls-handshake-failed", "silent-downstream"],
    // Who repeats its request on and on has not got the 100 either.
    &["response-misdirected", "response-ignored", "return-path-lost", "silent-downstream"],
    &["tls-handshake-failed", "callee-unreachable"],
    &["tls-handshake-failed", "timeout-at-responder"],
    &["destination-unreachable", "peer-probe-failed"],
    &["nat-binding-expired", "malformed-request-ignored", "next-hop-silent"],
    &["malformed-request-ignored", "large-request-lost"],
    &["message-mangled", "malformed-request-ignored"],
    &["message-mangled", "syntax-rejected"],
    &["message-mangled", "sdp-malformed"],
    &["message-mangled", "server-fault"],
    &["message-mangled", "next-hop-silent"],
    &["nat-binding-expired", "callee-unreachable"],
    &["nat-binding-expired", "timeout-at-responder"],
    &["nat-binding-expired", "timeout-behind-proxy"],
    &["malformed-request-ignored", "timeout-behind-proxy"],
    &["dns-failed", "server-fault"],
    &["dns-failed", "domain-not-served"],
    &["dns-failed", "callee-unreachable"],
    &["dns-failed", "user-unknown"],
    &["dns-failed", "number-not-routable"],
    &["dns-failed", "timeout-at-responder"],
    &["response-ignored", "timeout-behind-proxy"],
    &["response-ignored", "fork-all-failed"],
    &["contact-transport-wrong", "contact-unreachable"],
    &["contact-transport-wrong", "in-dialog-request-misrouted"],
    &["contact-transport-wrong", "ack-missing"],
    &["contact-transport-wrong", "bye-unanswered"],
    &["contact-transport-wrong", "prack-missing"],
    &["contact-transport-wrong", "server-fault"],
    &["contact-transport-wrong", "destination-unreachable"],
    &["contact-transport-wrong", "connection-failed"],
    &["flow-failed", "callee-unreachable"],
    &["flow-failed", "connection-failed"],
    &["flow-failed", "server-fault"],
    // A limit that is named is no word of the callee.
    &["server-overloaded", "callee-unreachable"],
    &["server-overloaded", "callee-busy"],
    &["server-overloaded", "callee-did-not-answer"],
    &["server-overloaded", "rejected-by-callee"],
    &["channel-limit-reached", "callee-did-not-answer"],
    &["channel-limit-reached", "server-overloaded"],
    &["channel-limit-reached", "server-fault"],
    &["channel-limit-reached", "refused-by-policy"],
    &["channel-limit-reached", "callee-unreachable"],
    &["channel-limit-reached", "callee-busy"],
    &["channel-limit-reached", "rejected-by-callee"],
    &["channel-limit-reached", "trunk-congested"],
    &["channel-limit-reached", "no-common-codec"],
    &["sdp-malformed", "no-common-codec"],
    &["sdp-malformed", "syntax-rejected"],
    &["media-profile-mismatch", "sdp-malformed"],
    &["address-family-mismatch", "sdp-malformed"],
    &["precondition-unmet", "callee-did-not-answer"],
    &["precondition-unmet", "caller-abandoned"],
    &["precondition-unmet", "ring-timeout"],
    &["precondition-unmet", "cancelled-with-reason"],
    &["precondition-unmet", "timeout-at-responder"],
    &["precondition-unmet", "callee-unreachable"],
    &["precondition-unmet", "no-common-codec"],
    &["replaces-unmatched", "callee-busy"],
    &["replaces-unmatched", "rejected-by-callee"],
    &["replaces-unmatched", "refused-by-policy"],
    &["identity-rejected", "refused-by-policy"],
    &["identity-rejected", "forbidden-after-credentials"],
    &["routing-loop", "diversion-loop", "hop-limit-too-low"],
    &["request-merged", "diversion-loop"],
    &["diversion-loop", "callee-unreachable"],
    &["diversion-loop", "callee-busy"],
    &["diversion-loop", "callee-did-not-answer"],
    &["diversion-loop", "rejected-by-callee"],
    &["diversion-loop", "caller-abandoned"],
    &["diversion-loop", "ring-timeout"],
    &["diversion-loop", "server-fault"],
    &["diversion-loop", "user-unknown"],
    &["diversion-loop", "number-not-routable"],
    &["diversion-loop", "timeout-at-responder"],
    // A probe that is refused is no failure, whatever the code says.
    &["scanner", "probe-noise", "method-unsupported"],
    &["probe-noise", "event-unsupported"],
    &["probe-noise", "body-type-unsupported"],
    &["probe-noise", "callee-busy"],
    &["probe-noise", "callee-did-not-answer"],
    &["probe-noise", "callee-unreachable"],
    &["probe-noise", "rejected-by-callee"],
    &["probe-noise", "number-not-routable"],
    &["probe-noise", "user-unknown"],
    &["probe-noise", "redirect-not-followed"],
    &["probe-noise", "refused-by-policy"],
    &["probe-noise", "routing-loop"],
    &["probe-noise", "hop-limit-too-low"],
    &["registration-lapsed", "timeout-at-responder"],
    &["refused-by-policy", "rejected-by-callee"],
    &["retry-not-renumbered", "server-fault"],
    &["prack-missing", "server-fault"],
    &["redirect-target-failed", "request-uri-without-user", "number-not-routable"],
    &["redirect-target-failed", "callee-unreachable"],
    &["redirect-target-failed", "next-hop-silent"],
    &["redirect-target-failed", "user-unknown"],
    &["redirect-target-failed", "timeout-behind-proxy"],
    // What another branch said tells more than that one was silent.
    &["fork-all-failed", "timeout-behind-proxy"],
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
    // A code that a server makes of what happens behind it is explained by what happens there.
    &["next-hop-silent", "callee-unreachable"],
    &["next-hop-silent", "server-fault"],
    &["large-request-lost", "callee-unreachable"],
    &["large-request-lost", "server-fault"],
    &["malformed-request-ignored", "server-fault"],
    &["nat-binding-expired", "server-fault"],
    &["nat-binding-expired", "bye-unanswered"],
    &["destination-unreachable", "callee-unreachable"],
    &["destination-unreachable", "server-fault"],
    &["destination-unreachable", "timeout-at-responder"],
    &["return-path-lost", "caller-abandoned"],
    &["return-path-lost", "bye-unanswered"],
    &["return-path-lost", "timeout-behind-proxy"],
    &["return-path-lost", "timeout-at-responder"],
    &["ring-timeout", "callee-did-not-answer"],
    &["ring-timeout", "caller-abandoned"],
    &["ring-timeout", "rejected-by-callee"],
    &["ring-timeout", "callee-busy"],
    &["ring-timeout", "timeout-at-responder"],
    &["ring-timeout", "timeout-behind-proxy"],
    &["fork-ended-by-global-failure", "rejected-by-callee"],
    &["number-changed-after-signing", "identity-rejected", "refused-by-policy"],
    &["number-changed-after-signing", "caller-identity-refused"],
    &["address-of-record-refused", "refused-by-policy"],
    &[
        "replaces-unmatched",
        "subscription-dead",
        "dialog-state-lost",
        "dialog-identifiers-wrong",
        "request-after-dialog-end",
    ],
];

/// What the one who ends a call only says of it: whatever the capture itself shows wins over that.
const HEARSAY: &str = "ended-by-failure";

/// What the capture shows of the leg behind the one who refused a call.
const SEEN_BEHIND: &[&str] = &[
    "connection-failed",
    "destination-unreachable",
    "dns-failed",
    "next-hop-silent",
    "silent-downstream",
    "timeout-behind-proxy",
    "tls-handshake-failed",
];

/// What that one says of its refusal: it may have made code and cause of what happened behind it.
const SAID_OF_IT: &[&str] = &[
    "trunk-congested",
    "trunk-out-of-order",
    "server-overloaded",
    "server-in-maintenance",
    "number-not-routable",
    "user-unknown",
    "domain-not-served",
    "refused-by-policy",
    "callee-did-not-answer",
    "callee-busy",
    "rejected-by-callee",
    "no-common-codec",
];

/// True if the rule is about the leg behind the one who refused a call: his answer was made of what happened there.
pub(crate) fn is_of_leg_behind(rule: &str) -> bool {
    SEEN_BEHIND.contains(&rule)
}

/// True if the rule is about what that one says of his refusal.
pub(crate) fn is_said_of_it(rule: &str) -> bool {
    SAID_OF_IT.contains(&rule)
}

/// True if the first rule, where it is likely at least, wins over the second as the leg behind over what is said before
/// it.
pub(crate) fn is_seen_behind(winner: &str, loser: &str) -> bool {
    is_of_leg_behind(winner) && is_said_of_it(loser)
}

/// True if the first rule wins over the second where both hold.
pub(crate) fn outranks(winner: &str, loser: &str) -> bool {
    if loser == HEARSAY {
        return winner != HEARSAY;
    }
    CHAINS.iter().any(|chain| {
        let place = |name: &str| chain.iter().position(|known| *known == name);
        matches!((place(winner), place(loser)), (Some(higher), Some(lower)) if higher < lower)
    })
}
