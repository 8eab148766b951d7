//! Parses X.509 certificates as Go's `x509.ParseCertificate` does, because all consumers use Go.
//!
//! `x509-parser` gives other results. It accepts negative serial numbers, algorithms that do not match, text with
//! invalid characters, and malformed extensions. Go 1.23 and later refuse all of these. It also refuses certificates
//! that Go accepts.
//!
//! Unlike Go, this parser does not check the points of P-224 keys, because no linked library supports that curve. It
//! also does not check the syntax of URIs in subject alternative names.

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1, ECDSA_P384_SHA384_ASN1, ECDSA_P521_SHA512_ASN1, EcdsaVerificationAlgorithm, ParsedPublicKey,
};
use jiff::{civil, tz::Offset};

use crate::rules::access::ca::der::{self, Der, GENERALIZED_TIME, SEQUENCE, SET, UTC_TIME, constructed, context};

mod extensions;

/// Why a certificate cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unreadable {
    /// Go 1.23 and later refuse it.
    NegativeSerial,
    /// Any other error.
    Broken,
}

/// Returns the time when a certificate expires, in Unix seconds.
pub(super) fn expiry(der: &[u8]) -> Result<i64, Unreadable> {
    match parse(der) {
        Some((_, true)) => Err(Unreadable::NegativeSerial),
        Some((expiry, false)) => Ok(expiry),
        None => Err(Unreadable::Broken),
    }
}

/// Returns the expiry in Unix seconds, and whether the serial number is negative.
fn parse(der: &[u8]) -> Option<(i64, bool)> {
    let mut file = Der(der);
    let mut certificate = file.inside(SEQUENCE).filter(|_| file.is_empty())?;
    let mut body = certificate.inside(SEQUENCE)?;
    let mut version = 0;
    if body.is(constructed(0)) {
        let mut number = body.inside(constructed(0))?;
        version = number.small().filter(|_| number.is_empty())?;
    }
    if !(0..=2).contains(&version) {
        return None;
    }
    let is_negative = body.integer()?.first()? & 0x80 != 0;
    let algorithm = body.read(SEQUENCE)?;
    if certificate.read(SEQUENCE)? != algorithm {
        return None;
    }
    read_algorithm(Der(algorithm))?;
    read_name(&mut body)?;
    let mut validity = body.inside(SEQUENCE)?;
    read_time(&mut validity)?;
    let expiry = read_time(&mut validity)?;
    read_name(&mut body)?;
    read_key(body.inside(SEQUENCE)?)?;
    if version > 0 {
        body.optional(context(1))?;
        body.optional(context(2))?;
    }
    if version == 2 && body.is(constructed(3)) {
        extensions::read(body.inside(constructed(3))?)?;
    }
    certificate.bits()?;
    Some((expiry, is_negative))
}

/// The identifier of an algorithm, and the element of its parameters.
fn read_algorithm(mut algorithm: Der<'_>) -> Option<(&[u8], &[u8])> {
    let object = algorithm.object()?;
    let before = algorithm.0;
    if !algorithm.is_empty() {
        algorithm.any()?;
    }
    Some((object, before.get(..before.len() - algorithm.0.len())?))
}

fn read_name(body: &mut Der<'_>) -> Option<()> {
    let mut name = body.inside(SEQUENCE)?;
    while !name.is_empty() {
        let mut set = name.inside(SET)?;
        while !set.is_empty() {
            let mut attribute = set.inside(SEQUENCE)?;
            attribute.object()?;
            let (tag, text) = attribute.any()?;
            if !is_text(tag, text) {
                return None;
            }
        }
    }
    Some(())
}

/// Whether the string type `tag` allows all characters of `text`.
fn is_text(tag: u8, text: &[u8]) -> bool {
    const UTF8: u8 = 12;
    const NUMERIC: u8 = 18;
    const PRINTABLE: u8 = 19;
    const T61: u8 = 20;
    const IA5: u8 = 22;
    const BMP: u8 = 30;
    match tag {
        T61 => true,
        IA5 => text.is_ascii(),
        UTF8 => str::from_utf8(text).is_ok(),
        NUMERIC => text.iter().all(|byte| byte.is_ascii_digit() || *byte == b' '),
        // The standard excludes `*` and `&`, but Go accepts them because certificates use them.
        PRINTABLE => text.iter().all(|byte| byte.is_ascii_alphanumeric() || b" '()+,-./:=?*&".contains(byte)),
        BMP => {
            let text = text.strip_suffix(&[0, 0]).filter(|_| text.len().is_multiple_of(2)).unwrap_or(text);
            let (points, rest) = text.as_chunks::<2>();
            let is_letter =
                |point: &[u8; 2]| !matches!(u16::from_be_bytes(*point), 0xd800..=0xdfff | 0xfdd0..=0xfdef | 0xfffe..);
            rest.is_empty() && points.iter().all(is_letter)
        }
        _ => false,
    }
}

/// Reads a time, in Unix seconds.
fn read_time(validity: &mut Der<'_>) -> Option<i64> {
    let (tag, text) = validity.any()?;
    let text = str::from_utf8(text).ok()?;
    let (year_length, second_length) = match (tag, text.find(['Z', '+', '-'])?) {
        (UTC_TIME, 12) => (2, 2),
        (UTC_TIME, 10) => (2, 0),
        (GENERALIZED_TIME, 14) => (4, 2),
        _ => return None,
    };
    let mut rest = text;
    let mut number = |length: usize| -> Option<i16> {
        let (digits, after) = rest.split_at_checked(length)?;
        rest = after;
        if digits.is_empty() {
            Some(0)
        } else {
            digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok())?
        }
    };
    let year = number(year_length)?;
    let year = if year_length == 4 { year } else { year + if year < 50 { 2000 } else { 1900 } };
    let mut small = |length| number(length).and_then(|number| i8::try_from(number).ok());
    let (month, day, hour, minute, second) = (small(2)?, small(2)?, small(2)?, small(2)?, small(second_length)?);
    let time = civil::Date::new(year, month, day).ok()?.to_datetime(civil::Time::new(hour, minute, second, 0).ok()?);
    let seconds = Offset::UTC.to_timestamp(time).ok()?.as_second();
    if rest == "Z" {
        return Some(seconds);
    }
    let (sign, digits) = rest.split_at_checked(1)?;
    let offset =
        digits.parse::<i64>().ok().filter(|_| digits.len() == 4 && digits.bytes().all(|byte| byte.is_ascii_digit()))?;
    let (hours, minutes) = (offset / 100, offset % 100);
    // Go accepts only the notation that it writes itself, and it writes `Z` for a zero offset.
    if offset == 0 || hours >= 24 || minutes >= 60 {
        return None;
    }
    let offset = hours * 3600 + minutes * 60;
    Some(if sign == "+" { seconds - offset } else { seconds + offset })
}

/// Reads a public key. Accepts any key of an algorithm that Go does not know.
fn read_key(mut info: Der<'_>) -> Option<()> {
    const RSA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 1];
    const DSA: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x38, 4, 1];
    const ECDSA: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1];
    const X25519: &[u8] = &[0x2b, 0x65, 0x6e];
    const ED25519: &[u8] = &[0x2b, 0x65, 0x70];
    let (algorithm, parameters) = read_algorithm(info.inside(SEQUENCE)?)?;
    let key = info.bits()?;
    let is_sound = match algorithm {
        RSA => {
            let mut key = Der(&key).inside(SEQUENCE)?;
            parameters == [5, 0] && der::is_positive(key.integer()?) && key.small()? > 0
        }
        DSA => {
            let mut parameters = Der(parameters).inside(SEQUENCE)?;
            der::is_positive(Der(&key).integer()?)
                && der::is_positive(parameters.integer()?)
                && der::is_positive(parameters.integer()?)
                && der::is_positive(parameters.integer()?)
        }
        ECDSA => {
            let (size, curve): (_, Option<&'static EcdsaVerificationAlgorithm>) = match Der(parameters).object()? {
                [0x2b, 0x81, 4, 0, 33] => (28, None),
                [0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7] => (32, Some(&ECDSA_P256_SHA256_ASN1)),
                [0x2b, 0x81, 4, 0, 34] => (48, Some(&ECDSA_P384_SHA384_ASN1)),
                [0x2b, 0x81, 4, 0, 35] => (66, Some(&ECDSA_P521_SHA512_ASN1)),
                _ => return None,
            };
            let is_point = key.first() == Some(&4) && key.len() == 1 + 2 * size;
            is_point && curve.is_none_or(|curve| ParsedPublicKey::new(curve, &key).is_ok())
        }
        X25519 | ED25519 => parameters.is_empty() && key.len() == 32,
        _ => true,
    };
    is_sound.then_some(())
}
