//! W3C trace context: the parent of a span, and whether to record it.

use axum::http::HeaderMap;

use crate::random::random;

/// The ids of a span, its trace and its parent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct SpanContext {
    pub(super) trace: u128,
    pub(super) span: u64,
    pub(super) parent: Option<u64>,
}

impl SpanContext {
    /// A child of the client's span. None if that span is not sampled, because a trace is recorded as a whole.
    ///
    /// Without a valid context a new trace starts. That is the case if tracing is off in the API server, as on clusters whose
    /// API server flags cannot be changed.
    pub(super) fn below(headers: &HeaderMap) -> Option<Self> {
        let mut given = headers.get_all("traceparent").iter();
        let parent = match (given.next(), given.next()) {
            (Some(only), None) => only.to_str().ok().and_then(Parent::parse),
            _ => None,
        };
        match parent {
            Some(parent) if !parent.sampled => None,
            Some(parent) => Some(Self { trace: parent.trace, span: random(), parent: Some(parent.span) }),
            None => {
                let trace = u128::from(random()) << 64 | u128::from(random());
                Some(Self { trace, span: random(), parent: None })
            }
        }
    }
}

/// The content of a `traceparent` header.
#[derive(Debug, PartialEq, Eq)]
struct Parent {
    trace: u128,
    span: u64,
    sampled: bool,
}

impl Parent {
    /// `00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01`: version, trace, span and flags. A later version may have more fields.
    fn parse(text: &str) -> Option<Self> {
        let mut fields = text.split('-');
        let mut field = |digits| number(fields.next()?, digits);
        let (version, trace, span, flags) = (field(2)?, field(32)?, field(16)?, field(2)?);
        if version == 0xff || (version == 0 && fields.next().is_some()) || trace == 0 || span == 0 {
            return None;
        }
        Some(Self { trace, span: u64::try_from(span).ok()?, sampled: flags & 1 == 1 })
    }
}

fn number(field: &str, digits: usize) -> Option<u128> {
    let is_hex = field.len() == digits && field.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    is_hex.then(|| u128::from_str_radix(field, 16).ok())?
}

#[cfg(test)]
mod tests {
    use axum::http::{HeaderMap, HeaderValue};

    use super::{Parent, SpanContext};

    const SAMPLED: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn traceparent_is_parsed_as_the_recommendation_defines_it() {
        let parent =
            Parent { trace: 0x4bf9_2f35_77b3_4da6_a3ce_929d_0e0e_4736, span: 0x00f0_67aa_0ba9_02b7, sampled: true };
        assert_eq!(Parent::parse(SAMPLED), Some(parent));
        let sampled = |text: &str| Parent::parse(text).map(|parent| parent.sampled);
        for (end, expected) in [("00", false), ("02", false), ("03", true), ("ff", true)] {
            assert_eq!(sampled(&SAMPLED.replace("-01", &format!("-{end}"))), Some(expected), "{end}");
        }
        assert_eq!(sampled(&SAMPLED.replacen("00", "01", 1)), Some(true), "a later version");
        assert_eq!(sampled(&(SAMPLED.replacen("00", "01", 1) + "-more")), Some(true), "with more fields");
        for broken in [
            "",
            "00",
            &SAMPLED.replacen("00", "ff", 1),
            &SAMPLED.to_uppercase(),
            &SAMPLED.replace("4bf92f3577b34da6a3ce929d0e0e4736", "00000000000000000000000000000000"),
            &SAMPLED.replace("00f067aa0ba902b7", "0000000000000000"),
            &SAMPLED.replace("-00f0", "-0f0"),
            &SAMPLED.replace("-00f0", "-+0f0"),
            &format!("{SAMPLED}-"),
            &format!("{SAMPLED}-more"),
        ] {
            assert_eq!(Parent::parse(broken), None, "{broken}");
        }
    }

    #[test]
    fn a_span_is_a_child_of_the_clients_span_or_starts_a_trace() {
        let headers = |values: &[&'static str]| {
            let named = values.iter().map(|value| ("traceparent".parse().unwrap(), HeaderValue::from_static(value)));
            named.collect::<HeaderMap>()
        };
        let child = SpanContext::below(&headers(&[SAMPLED])).unwrap();
        assert_eq!(
            (child.trace, child.parent),
            (0x4bf9_2f35_77b3_4da6_a3ce_929d_0e0e_4736, Some(0x00f0_67aa_0ba9_02b7))
        );
        assert_eq!(SpanContext::below(&headers(&["00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00"])), None);
        for first in [&[][..], &["broken"], &[SAMPLED, SAMPLED]] {
            let [one, other] = [(); 2].map(|()| SpanContext::below(&headers(first)).unwrap());
            assert_eq!(one.parent, None);
            assert!(one.trace != other.trace && one.span != other.span && one.trace != child.trace);
        }
    }
}
