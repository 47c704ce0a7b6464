//! The rules, one file each, in families (A authentication, B reachability, C dialogs, D offer and answer, E routing,
//! F identity, G transfer and events, H media, I noise, J capture quality).

use crate::diagnosis::rule::Rule;

/// Declares each family's rules and lists them in order of precedence.
macro_rules! rules {
    ($($family:ident { $($rule:ident),* $(,)? })*) => {
        $(
            #[allow(missing_docs)] // Each rule's page is on its RULE.
            pub mod $family {
                $(pub mod $rule;)*
            }
        )*
        /// Every rule, in order of precedence.
        pub static ALL: &[&Rule] = &[$($(&$family::$rule::RULE,)*)*];
    };
}

rules! {
    capture {
        capture_cut,
        capture_drops,
        capture_truncated,
        fragments_missing,
        payload_unreadable,
        clock_unsteady,
        capture_one_sided,
        capture_partial,
        capture_duplicated,
        nat_on_capture_host,
    }
    noise {
        scanner,
        credential_guessing,
        toll_fraud_pattern,
        request_flood,
        probe_noise,
    }
    reachability {
        destination_unreachable,
        large_request_lost,
        nat_binding_expired,
        response_misdirected,
        response_ignored,
        tls_handshake_failed,
        connection_failed,
        dns_failed,
        peer_probe_failed,
        return_path_lost,
        next_hop_silent,
        silent_downstream,
        contact_transport_wrong,
        contact_unreachable,
        flow_failed,
        message_mangled,
        first_response_slow,
        request_lost_on_path,
    }
    dialog {
        cancel_crossed_answer,
        ack_malformed,
        in_dialog_request_misrouted,
        record_route_bypassed,
        ack_missing,
        cseq_regressed,
        session_refresh_failed,
        session_timer_expired,
        session_interval_too_small,
        media_inactivity_teardown,
        dialog_request_unanswered,
        bye_unanswered,
        bye_refused,
        leg_not_released,
        fork_ended_by_global_failure,
        fork_all_failed,
        dialog_state_lost,
        dialog_identifiers_wrong,
        ring_timeout,
        caller_abandoned,
        answered_elsewhere,
        cancelled_with_reason,
        ended_before_answer,
        termination_not_captured,
        cancel_unanswered,
        bye_crossed,
        request_after_dialog_end,
        glare_unresolved,
        glare_resolved,
        fork_not_released,
        ended_by_failure,
        released_by,
    }
    authentication {
        realm_mismatch,
        digest_uri_mismatch,
        digest_algorithm_unsupported,
        old_nonce_reused,
        nonce_count_replayed,
        retry_not_renumbered,
        nonce_never_accepted,
        credentials_rejected,
        challenge_not_answered,
        forbidden_after_credentials,
        address_of_record_refused,
        registration_interval_too_brief,
        security_agreement_required,
        registration_lapsed,
        registration_flapping,
        stale_binding,
        challenge_answered,
    }
    offer_answer {
        late_offer_unsupported,
        body_type_unsupported,
        media_profile_mismatch,
        media_keying_mismatch,
        address_family_mismatch,
        bandwidth_insufficient,
        sdp_malformed,
        no_common_codec,
        precondition_unmet,
        extension_unsupported,
        extension_required,
        event_unsupported,
        answer_malformed,
        answer_unusable,
        prack_missing,
        stream_refused,
        ringback_missing,
        dtmf_mismatch,
        fax_switch_failed,
        reinvite_refused,
    }
    identity {
        blocked_by_analytics,
        caller_unwanted,
        number_changed_after_signing,
        identity_rejected,
        attestation_low,
    }
    media {
        media_port_closed,
        private_media_address,
        one_way_media,
        media_missing,
        media_stopped_early,
        media_loss,
        media_late,
        payload_type_unexpected,
        dtmf_event_malformed,
        ice_failed,
        media_address_differs,
    }
    transfer {
        replaces_unmatched,
        transfer_failed,
        transfer_unreported,
        subscription_dead,
        diversion_loop,
        hold_stuck,
    }
    routing {
        trunk_congested,
        trunk_out_of_order,
        server_overloaded,
        server_in_maintenance,
        overload_backoff_ignored,
        channel_limit_reached,
        redirect_loop,
        redirect_target_failed,
        redirect_not_followed,
        routing_loop,
        request_merged,
        hop_limit_too_low,
        caller_identity_refused,
        special_requirement_refused,
        refused_by_policy,
        request_uri_without_user,
        message_too_large,
        syntax_rejected,
        malformed_request_ignored,
        method_unsupported,
        number_changed,
        domain_not_served,
        number_not_routable,
        user_unknown,
        callee_busy,
        rejected_by_callee,
        callee_did_not_answer,
        callee_unreachable,
        timeout_behind_proxy,
        timeout_at_responder,
        server_fault,
        cause_disagrees,
        failover_missing,
        failover_slow,
        failover_worked,
        setup_slow,
    }
}

/// The rule of this name.
pub fn named(name: &str) -> Option<&'static Rule> {
    ALL.iter().copied().find(|rule| rule.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_page_has_a_title_the_six_headings_and_references() {
        for rule in ALL {
            assert!(!rule.title().is_empty(), "{} has no title", rule.name);
            let headings: Vec<&str> = rule.page.lines().filter_map(|line| line.trim().strip_prefix("## ")).collect();
            assert_eq!(headings, Rule::HEADINGS, "{}", rule.name);
            for heading in headings {
                let section = rule.section(heading).unwrap_or_default();
                assert!(section.len() > 2, "{}: nothing under {heading}", rule.name);
            }
            for cited in rule.references().iter() {
                assert!(!cited.doc.is_empty(), "{}", rule.name);
                let is_known = cited.section.is_empty() || !cited.doc.starts_with("RFC ") || cited.title().is_some();
                assert!(is_known, "{} cites {cited}, which is not in data/rfc-sections.toml", rule.name);
            }
        }
    }

    #[test]
    fn names_are_kebab_case_and_unique() {
        let mut names: Vec<&str> = ALL.iter().map(|rule| rule.name).collect();
        assert!(
            names.iter().all(|name| name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-'))
        );
        names.sort_unstable();
        let count = names.len();
        names.dedup();
        assert_eq!(names.len(), count);
    }
}
