//! The character sets and formats that the API machinery defines.

use jiff::{Timestamp, ToSpan as _};

use super::{Change, Problem, Report, Value};
use crate::{field::FieldPath, profile::Text};

/// Longest DNS-1123 subdomain (RFC 1123), and longest name in most Kubernetes APIs.
pub(super) const SUBDOMAIN_LIMIT: usize = 253;

/// Longest label value, and longest segment of a name.
pub(super) const SEGMENT_LIMIT: usize = 63;

/// Whether `text` is a label value that is not empty: 1 to 63 of `[A-Za-z0-9._-]`, alphanumeric at both ends.
pub(super) fn is_segment(text: &str) -> bool {
    text.len() <= SEGMENT_LIMIT && is_word(text, |byte| byte.is_ascii_alphanumeric(), b"._-")
}

/// Whether `text` is a DNS-1123 subdomain: labels of `[a-z0-9-]` joined by dots, at most 253 in all.
pub(super) fn is_subdomain(text: &str) -> bool {
    text.len() <= SUBDOMAIN_LIMIT && are_labels(text)
}

/// Whether `text` is a condition type by the pattern of `metav1.Condition`, its length aside.
pub(super) fn is_condition_type(text: &str) -> bool {
    let (prefix, name) = text.split_once('/').map_or((None, text), |(prefix, name)| (Some(prefix), name));
    prefix.is_none_or(are_labels) && is_word(name, |byte| byte.is_ascii_alphanumeric(), b"._-")
}

/// Whether `text` is a reason by the pattern of `metav1.Condition`, its length aside.
pub(super) fn is_reason(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_alphabetic())
        && !text.ends_with([',', ':'])
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_,:".contains(&byte))
}

fn are_labels(text: &str) -> bool {
    text.split('.').all(|label| is_word(label, |byte| byte.is_ascii_lowercase() || byte.is_ascii_digit(), b"-"))
}

/// Whether `text` has only such ends, and between them also `inner`.
fn is_word(text: &str, end: fn(u8) -> bool, inner: &[u8]) -> bool {
    let bytes = text.as_bytes();
    bytes.first().is_some_and(|first| end(*first))
        && bytes.last().is_some_and(|last| end(*last))
        && bytes.iter().all(|byte| end(*byte) || inner.contains(byte))
}

/// The instant that `text` names, where it is RFC 3339 to the letter (jiff alone reads more than that).
pub(super) fn rfc3339(text: &str) -> Option<Timestamp> {
    let shape = |mask: &str, part: &str| {
        mask.len() == part.len()
            && mask.bytes().zip(part.bytes()).all(|(mask, byte)| match mask {
                b'0' => byte.is_ascii_digit(),
                _ => byte.eq_ignore_ascii_case(&mask),
            })
    };
    let (seconds, rest) = text.split_at_checked("0000-00-00T00:00:00".len())?;
    let zone = match rest.strip_prefix('.') {
        Some(fraction) => {
            let zone = fraction.trim_start_matches(|digit: char| digit.is_ascii_digit());
            (zone.len() < fraction.len()).then_some(zone)?
        }
        None => rest,
    };
    let offset = zone.strip_prefix(['+', '-']).is_some_and(|offset| shape("00:00", offset));
    (shape("0000-00-00T00:00:00", seconds) && (offset || shape("Z", zone))).then(|| text.parse().ok())?
}

/// Denies a time, where it is set, that is not RFC 3339, and warns of one that no clock that is a little off explains.
pub(super) fn check_time<'a>(
    time: &'a Text<'a>,
    path: impl FnOnce() -> FieldPath<'a>,
    change: &Change<'a>,
    report: &mut Report<'a>,
) {
    let Some(text) = time.set() else { return };
    match rfc3339(text) {
        None => {
            let detail = "must be a time in RFC 3339, like 2026-01-31T12:00:00Z";
            report.deny(path(), Problem::Invalid(Value::of(text), detail.into()));
        }
        Some(time) if time > latest(change) => {
            let detail = "must not be more than 5 minutes in the future";
            report.warn(path(), Problem::Invalid(Value::of(text), detail.into()));
        }
        Some(_) => {}
    }
}

/// Clocks of member clusters and hub differ by seconds; what is minutes ahead was made up.
fn latest(change: &Change<'_>) -> Timestamp {
    change.now.saturating_add(5.minutes()).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests {
    use super::{is_condition_type, is_reason, is_segment, is_subdomain, rfc3339};

    #[test]
    fn words() {
        for good in ["a", "KubeFleet", "a.b_c-d", &"a".repeat(63)] {
            assert!(is_segment(good), "{good}");
        }
        for bad in ["", "-a", "a-", "a b", "a\n", "ä", "a/b", &"a".repeat(64)] {
            assert!(!is_segment(bad), "{bad:?}");
        }
        for bad in ["", "A", "a..b", ".a", "a.", "-a.b", "a.b-", "a_b", &"a".repeat(254)] {
            assert!(!is_subdomain(bad), "{bad:?}");
        }
        assert!(is_subdomain(&"a".repeat(253)) && is_subdomain("x-1.k8s.io"));
        for good in ["Ready", "a", "example.com/Ready", "1a_b.c-D"] {
            assert!(is_condition_type(good), "{good}");
        }
        for bad in ["", "/a", "a/", "a/b/c", "A.com/x", "a b", "Ready-"] {
            assert!(!is_condition_type(bad), "{bad:?}");
        }
        for (text, good) in [("A", true), ("A1,b:c_", true), ("", false), ("1A", false), ("A:", false), ("A b", false)]
        {
            assert_eq!(is_reason(text), good, "{text:?}");
        }
    }

    #[test]
    fn times() {
        for good in
            ["2023-05-08T07:56:55Z", "2023-05-08t07:56:55.123456z", "2023-05-08T07:56:55+02:00", "2016-12-31T23:59:60Z"]
        {
            assert!(rfc3339(good).is_some(), "{good}");
        }
        for bad in [
            "",
            "yesterday",
            "2023-05-08",
            "2023-05-08 07:56:55Z",
            "2023-05-08T07:56Z",
            "2023-05-08T07:56:55",
            "2023-13-08T07:56:55Z",
            "2023-05-08T07:56:55.Z",
            "2023-05-08T07:56:55+0200",
            "2023-05-08T07:56:55Z[UTC]",
            "2023-05-08T07:56:55Z ",
            "２023-05-08T07:56:55Z",
        ] {
            assert!(rfc3339(bad).is_none(), "{bad}");
        }
    }
}
