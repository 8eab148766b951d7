//! `access-ca`: consumers can read the CA certificates that they verify the server with.

use self::certificate::Unreadable;
use crate::{
    review::{Change, Effect, Problem, Reporter, Rule, Value},
    rules::access::{Memo, clusters, is_stored_ca},
    syntax::base64::decode,
};

mod certificate;
mod der;
mod pem;

pub(crate) static CA: Rule = Rule {
    name: "access-ca",
    summary: "`certificate-authority-data` is base64 of PEM certificates, all of which Go's `crypto/x509` can read, and of which \
              at least one has not expired",
    source: "CRD format; client-go; Go 1.23 and later",
    effect: Effect::Deny,
    exceptions: "Warn when it is base64, but no certificate or only a part of them can be read, or all have expired",
    since: "0.1.0",
    docs: include_str!("../docs/access-ca.md"),
    check: ca,
    ..Rule::VALIDATING
};

fn ca<'a>(change: &Change<'a>, reporter: &mut Reporter<'_, 'a>) {
    let mut last = Memo::new();
    for (item, cluster) in clusters(change) {
        let Some(data) = cluster.certificate_authority_data().text() else { continue };
        // Parses stored data only if its findings are reported.
        let is_known = is_stored_ca(&item, data, change) && !reporter.reports_stored(Effect::Warn);
        let depth = if is_known { Depth::Encoding } else { Depth::Certificates };
        if let Some(fault) = last.of((data, depth), || fault(data, depth, change.now.as_second())) {
            let path = item.path().field("cluster").field("certificate-authority-data");
            reporter.report_as(fault.effect(), path, Problem::Invalid(Value::hidden(data), fault.detail().into()));
        }
    }
}

/// How deep to check CA data.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Depth {
    Encoding,
    Certificates,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    Broken,
    LineBreaks,
    EncodedTwice,
    Der,
    NoPem,
    /// Number of certificates, none of which can be read, and the reason for the first one.
    Unreadable(usize, Unreadable),
    /// Number of certificates that can be read, and number of all certificates.
    Partly(usize, usize),
    Expired,
}

impl Fault {
    fn effect(self) -> Effect {
        if matches!(self, Self::Broken | Self::LineBreaks) { Effect::Deny } else { Effect::Warn }
    }

    fn detail(self) -> String {
        match self {
            Self::Broken => "must be base64 of PEM certificates, or absent".to_owned(),
            Self::LineBreaks => "must be base64 without line breaks, as from \"base64 -w0\"".to_owned(),
            Self::EncodedTwice => "base64 of base64, which consumers cannot read: encode the PEM once".to_owned(),
            Self::Der => "holds DER, which consumers cannot read: convert it to PEM".to_owned(),
            Self::NoPem => {
                "holds no PEM certificate; encode a block that begins with \"-----BEGIN CERTIFICATE-----\"".to_owned()
            }
            Self::Unreadable(_, Unreadable::NegativeSerial) => {
                "no certificate can be read: consumers in Go refuse its negative serial number".to_owned()
            }
            Self::Unreadable(1, _) => "the certificate cannot be read: put its PEM on lines of its own".to_owned(),
            Self::Unreadable(count, _) => {
                format!("none of {count} certificates can be read: put each PEM block on lines of its own")
            }
            Self::Partly(read, count) => format!("consumers can read only {read} of {count} certificates"),
            Self::Expired => "all certificates have expired, so consumers refuse the server: renew them".to_owned(),
        }
    }
}

fn fault(data: &str, depth: Depth, now: i64) -> Option<Fault> {
    let Some(bundle) = decode(data).filter(|bundle| !bundle.is_empty()) else {
        let is_broken = decode(data.replace(['\r', '\n'], "")).is_some_and(|bundle| !bundle.is_empty());
        return Some(if is_broken { Fault::LineBreaks } else { Fault::Broken });
    };
    if depth == Depth::Encoding {
        return None;
    }
    let blocks = pem::blocks(&bundle).filter(|block| block.label == b"CERTIFICATE" && !block.has_headers);
    let read: Vec<_> = blocks.map(|block| certificate::expiry(&block.bytes)).collect();
    let expiries: Vec<_> = read.iter().filter_map(|expiry| expiry.ok()).collect();
    let count = headers(&bundle).max(read.len());
    if expiries.is_empty() {
        let why = read.into_iter().find_map(Result::err).unwrap_or(Unreadable::Broken);
        return Some(if count > 0 { Fault::Unreadable(count, why) } else { other_fault(&bundle) });
    }
    if expiries.len() < count {
        return Some(Fault::Partly(expiries.len(), count));
    }
    expiries.iter().all(|expiry| *expiry < now).then_some(Fault::Expired)
}

/// Returns the fault of a bundle without a certificate header.
fn other_fault(bundle: &[u8]) -> Fault {
    let text: Vec<_> = bundle.iter().copied().filter(|byte| !byte.is_ascii_whitespace()).collect();
    if decode(text).is_some_and(|text| headers(&text) > 0) {
        Fault::EncodedTwice
    } else if certificate::expiry(bundle) == Err(Unreadable::Broken) {
        Fault::NoPem
    } else {
        Fault::Der
    }
}

/// Counts the certificate headers of a bundle, including those that are indented or follow other text on their line.
fn headers(bundle: &[u8]) -> usize {
    const HEADER: &[u8] = b"BEGIN CERTIFICATE";
    let is_beside = |byte: Option<&u8>| byte == Some(&b'-');
    let is_header = |(at, window): &(usize, &[u8])| {
        if *window != HEADER {
            return false;
        }
        let before = bundle.get(..*at).unwrap_or_default().iter().rev().find(|byte| **byte != b' ');
        let after = bundle.get(at + HEADER.len()..).unwrap_or_default().iter().find(|byte| **byte != b' ');
        is_beside(before) && is_beside(after)
    };
    bundle.windows(HEADER.len()).enumerate().filter(is_header).count()
}
