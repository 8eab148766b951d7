//! Character sets and formats of the API machinery.

use std::iter;

use jiff::{Timestamp, civil::DateTime, tz::Offset};

pub(crate) mod base64;
pub(crate) mod url;

/// Maximum length of a DNS-1123 subdomain (RFC 1123) and of a name in most Kubernetes APIs.
pub(crate) const SUBDOMAIN_LIMIT: usize = 253;

/// Maximum length of a label value and of a segment of a name.
pub(crate) const SEGMENT_LIMIT: usize = 63;

/// Whether `text` is a nonempty label value: 1 to 63 of `[A-Za-z0-9._-]`, alphanumeric at both ends.
pub(crate) fn is_segment(text: &str) -> bool {
    text.len() <= SEGMENT_LIMIT && is_word(text, ALPHANUMERIC, ALPHANUMERIC | JOINING)
}

/// Whether `text` has more than `limit` code points, which is what a schema's `maxLength` counts.
pub(crate) fn is_longer(text: &str, limit: usize) -> bool {
    text.len() > limit && text.chars().count() > limit
}

/// Whether `text` is a DNS-1123 subdomain: labels of `[a-z0-9-]` joined by dots, at most 253 characters.
pub(crate) fn is_subdomain(text: &str) -> bool {
    text.len() <= SUBDOMAIN_LIMIT && are_labels(text)
}

/// Whether `text` matches the pattern of a type in `metav1.Condition`. Does not check its length.
pub(crate) fn is_condition_type(text: &str) -> bool {
    let (prefix, name) = text.split_once('/').map_or((None, text), |(prefix, name)| (Some(prefix), name));
    prefix.is_none_or(are_labels) && is_word(name, ALPHANUMERIC, ALPHANUMERIC | JOINING)
}

/// Whether `text` matches the pattern of a reason in `metav1.Condition`. Does not check its length.
pub(crate) fn is_reason(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_alphabetic())
        && !text.ends_with([',', ':'])
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b',' | b':'))
}

/// Whether `text` is a DNS-1123 label: 1 to 63 of `[a-z0-9-]`, alphanumeric at both ends.
pub(crate) fn is_label(text: &str) -> bool {
    text.len() <= SEGMENT_LIMIT && is_word(text, LOWER, LOWER | HYPHEN)
}

fn are_labels(text: &str) -> bool {
    text.split('.').all(|label| is_word(label, LOWER, LOWER | HYPHEN))
}

/// Whether all bytes of `text` are of the kinds `inner`, and its first and last byte of the kinds `end`.
fn is_word(text: &str, end: u8, inner: u8) -> bool {
    let is = |byte: &u8, kinds: u8| KINDS.get(usize::from(*byte)).is_some_and(|kind| kind & kinds != 0);
    let bytes = text.as_bytes();
    bytes.first().is_some_and(|first| is(first, end))
        && bytes.last().is_some_and(|last| is(last, end))
        && bytes.iter().all(|byte| is(byte, inner))
}

const ALPHANUMERIC: u8 = 1;
/// Lowercase letters and digits.
const LOWER: u8 = 2;
/// `-`, `.` and `_`.
const JOINING: u8 = 4;
const HYPHEN: u8 = 8;

/// Kinds of each byte. A table, because names are most of the text that rules read byte by byte.
#[expect(clippy::indexing_slicing, reason = "checked when it is compiled")]
static KINDS: [u8; 256] = {
    let mut kinds = [0; 256];
    let mut byte: u8 = 0;
    while byte < 128 {
        kinds[byte as usize] = match byte {
            b'a'..=b'z' | b'0'..=b'9' => ALPHANUMERIC | LOWER,
            b'A'..=b'Z' => ALPHANUMERIC,
            b'-' => JOINING | HYPHEN,
            b'.' | b'_' => JOINING,
            _ => 0,
        };
        byte += 1;
    }
    kinds
};

/// Parses a strict RFC 3339 time. Refuses leap seconds, as the CRD and Go do.
///
/// Drops digits beyond nanoseconds, and returns [`Timestamp::MAX`] for a later instant.
pub(crate) fn rfc3339(text: &str) -> Option<Timestamp> {
    let (seconds, rest) = text.split_at_checked("0000-00-00T00:00:00".len())?;
    let (fraction, zone) = match rest.strip_prefix('.') {
        Some(rest) => rest.split_at(rest.find(|letter: char| !letter.is_ascii_digit()).filter(|end| *end > 0)?),
        None => ("", rest),
    };
    // jiff also accepts other notations.
    let datetime: DateTime = seconds.parse().ok().filter(|_| has_shape(seconds, "0000-00-00T00:00:00"))?;
    let digits = fraction.bytes().map(|digit| i32::from(digit - b'0')).chain(iter::repeat(0)).take(9);
    let nanosecond = digits.fold(0, |number, digit| number * 10 + digit);
    let datetime = datetime.with().subsec_nanosecond(nanosecond).build().ok()?;
    let instant = Offset::from_seconds(offset(zone)?).ok()?.to_timestamp(datetime);
    Some(instant.unwrap_or(Timestamp::MAX)).filter(|_| !seconds.ends_with("60"))
}

/// Whether the CRD's format `date-time` accepts `text`: like [`rfc3339`], but with any digits in the offset.
pub(crate) fn is_date_time(text: &str) -> bool {
    const OFFSET: &str = "00:00";
    let end = text.len().saturating_sub(OFFSET.len());
    let zeroed = text.split_at_checked(end).filter(|(_, offset)| has_shape(offset, OFFSET));
    zeroed.map_or_else(|| rfc3339(text), |(rest, _)| rfc3339(&format!("{rest}{OFFSET}"))).is_some()
}

/// Returns the offset of a zone from UTC, in seconds.
fn offset(zone: &str) -> Option<i32> {
    if has_shape(zone, "Z") {
        return Some(0);
    }
    let (sign, offset) = zone.split_at_checked(1).filter(|(_, offset)| has_shape(offset, "00:00"))?;
    let (hours, minutes) = offset.split_once(':')?;
    let (hours, minutes): (i32, i32) = (hours.parse().ok()?, minutes.parse().ok()?);
    let seconds = Some(hours * 3600 + minutes * 60).filter(|_| hours < 24 && minutes < 60)?;
    match sign {
        "+" => Some(seconds),
        "-" => Some(-seconds),
        _ => None,
    }
}

/// Whether `text` has a digit at each `0` of `shape`, and the same letter at each other position, in either case.
fn has_shape(text: &str, shape: &str) -> bool {
    text.len() == shape.len()
        && text.bytes().zip(shape.bytes()).all(|(byte, shape)| match shape {
            b'0' => byte.is_ascii_digit(),
            _ => byte.eq_ignore_ascii_case(&shape),
        })
}

#[cfg(test)]
mod tests {
    use super::{is_condition_type, is_date_time, is_reason, is_segment, is_subdomain, rfc3339};

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

    /// The API server's code accepts and refuses the same times, except for the offsets at the end.
    #[test]
    fn times() {
        for good in [
            "2023-05-08T07:56:55Z",
            "2023-05-08t07:56:55.123456z",
            "2023-05-08T07:56:55+02:00",
            "2023-05-08T07:56:55-23:59",
            "2024-02-29T00:00:00Z",
            "0000-01-01T00:00:00Z",
            "9999-12-31T23:59:59Z",
            "9999-12-31T23:59:59-23:59",
            "2023-05-08T07:56:55.12345678901234567890Z",
        ] {
            assert!(rfc3339(good).is_some() && is_date_time(good), "{good}");
        }
        for bad in [
            "",
            "yesterday",
            "2023-05-08",
            "2023-05-08 07:56:55Z",
            "2023-05-08T07:56Z",
            "2023-05-08T07:56:55",
            "2023-13-08T07:56:55Z",
            "2023-02-29T00:00:00Z",
            "2023-05-08T24:00:00Z",
            "2023-05-08T07:56:60Z",
            "2016-12-31T23:59:60Z",
            "10000-01-01T00:00:00Z",
            "2023-05-08T07:56:55.Z",
            "2023-05-08T07:56:55.5",
            "2023-05-08T07:56:55+0200",
            "2023-05-08T07:56:55Z[UTC]",
            "2023-05-08T07:56:55Z ",
            "２023-05-08T07:56:55Z",
            "2023-05-08T07:56:55é0:00",
        ] {
            assert!(rfc3339(bad).is_none() && !is_date_time(bad), "{bad}");
        }
        // The CRD accepts any digits in an offset; RFC 3339 and Go's clients do not.
        for bad in ["2023-05-08T07:56:55+24:00", "2023-05-08T07:56:55+25:59", "2023-05-08T07:56:55+23:60"] {
            assert!(rfc3339(bad).is_none() && is_date_time(bad), "{bad}");
        }
    }

    #[test]
    fn an_instant_is_the_same_however_it_is_written() {
        let instant = rfc3339("2023-05-08T07:56:55.120000000Z");
        for same in ["2023-05-08T09:56:55.12+02:00", "2023-05-08T05:26:55.1200000009-02:30"] {
            assert_eq!(rfc3339(same), instant, "{same}");
        }
        assert!(rfc3339("2023-05-08T07:56:55.120000001Z") > instant);
        assert_eq!(rfc3339("9999-12-31T23:59:59Z"), Some(jiff::Timestamp::MAX));
    }
}
