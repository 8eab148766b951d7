//! Resolves YAML scalars as kubectl does.
//!
//! kubectl uses `sigs.k8s.io/yaml` (go-yaml v2): booleans and nulls as in YAML 1.1, and numbers as Go's `strconv` parses them
//! without underscores. `tests/e2e/scalars.rs` compares the results with kubectl.

use std::borrow::Cow;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use granit_parser::Tag;
use serde_json::{Number, Value};

/// A resolved scalar.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Scalar<'t> {
    Null,
    Bool(bool),
    Signed(i64),
    /// Only values above the signed range.
    Unsigned(u64),
    Float(f64),
    Text(Cow<'t, str>),
}

/// Resolves a scalar. Without a tag, a quoted or block scalar is a string.
///
/// # Errors
///
/// If the text is not a value of its tag.
pub(super) fn resolve<'t>(text: Cow<'t, str>, tag: Option<&Tag>, is_plain: bool) -> Result<Scalar<'t>, String> {
    let tag = match tag {
        None if is_plain => return Ok(implied(&text).unwrap_or(Scalar::Text(text))),
        None => return Ok(Scalar::Text(text)),
        Some(tag) => tag,
    };
    let name = tag.suffix_in_namespace("tag:yaml.org,2002:").unwrap_or_default();
    let wrong = || format!("the value does not match its tag !!{name}");
    let found = match name.as_ref() {
        "null" | "bool" | "int" | "float" | "timestamp" => implied(&text),
        "binary" => {
            let bytes = STANDARD.decode(text.replace(['\n', '\r'], "")).map_err(|_| wrong())?;
            return Ok(Scalar::Text(Cow::Owned(String::from_utf8_lossy(&bytes).into_owned())));
        }
        _ => return Ok(Scalar::Text(text)),
    };
    match (name.as_ref(), found) {
        ("null", Some(scalar @ Scalar::Null))
        | ("bool", Some(scalar @ Scalar::Bool(_)))
        | ("int", Some(scalar @ (Scalar::Signed(_) | Scalar::Unsigned(_))))
        | ("float", Some(scalar @ Scalar::Float(_))) => Ok(scalar),
        #[expect(clippy::cast_precision_loss, reason = "the tag requires a float")]
        ("float", Some(Scalar::Signed(number))) => Ok(Scalar::Float(number as f64)),
        ("timestamp", None) => Ok(Scalar::Text(text)),
        _ => Err(wrong()),
    }
}

/// The value of a plain scalar, or none if it is a string.
fn implied(text: &str) -> Option<Scalar<'static>> {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => Some(Scalar::Null),
        "y" | "Y" | "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => Some(Scalar::Bool(true)),
        "n" | "N" | "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => {
            Some(Scalar::Bool(false))
        }
        ".nan" | ".NaN" | ".NAN" => Some(Scalar::Float(f64::NAN)),
        ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF" => Some(Scalar::Float(f64::INFINITY)),
        "-.inf" | "-.Inf" | "-.INF" => Some(Scalar::Float(f64::NEG_INFINITY)),
        _ if text.starts_with('.') => separated(text).and_then(|text| float(&text)),
        _ if text.starts_with(|first: char| first.is_ascii_digit() || matches!(first, '+' | '-')) => {
            let text = text.replace('_', "");
            integer(&text).or_else(|| float(&text)).or_else(|| signed_bits(&text))
        }
        _ => None,
    }
}

/// Removes underscores. None if one is not between two digits.
fn separated(text: &str) -> Option<String> {
    let is_digit = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_digit);
    let bytes = text.as_bytes();
    let mut places = bytes.iter().enumerate().filter(|(_, byte)| **byte == b'_').map(|(place, _)| place);
    let are_between = places.all(|place| is_digit(bytes.get(place.wrapping_sub(1))) && is_digit(bytes.get(place + 1)));
    are_between.then(|| text.replace('_', ""))
}

/// A 64-bit integer, with Go's prefixes `0x`, `0b`, `0o` and `0`.
fn integer(text: &str) -> Option<Scalar<'static>> {
    let (sign, digits) = sign(text);
    let radix = |prefix: [&str; 2]| prefix.iter().find_map(|prefix| digits.strip_prefix(prefix));
    let (radix, digits) = match (radix(["0x", "0X"]), radix(["0b", "0B"]), radix(["0o", "0O"])) {
        (Some(digits), ..) => (16, digits),
        (_, Some(digits), _) => (2, digits),
        (.., Some(digits)) => (8, digits),
        _ if digits.len() > 1 && digits.starts_with('0') => (8, digits),
        _ => (10, digits),
    };
    let magnitude = magnitude(digits, radix)?;
    let signed = if sign == Some('-') { 0i128.checked_sub_unsigned(magnitude) } else { magnitude.try_into().ok() };
    match signed.and_then(|number| i64::try_from(number).ok()) {
        Some(number) => Some(Scalar::Signed(number)),
        None if sign.is_none() => u64::try_from(magnitude).ok().map(Scalar::Unsigned),
        None => None,
    }
}

/// A number with `0b` before its sign, which go-yaml accepts too.
fn signed_bits(text: &str) -> Option<Scalar<'static>> {
    let (sign, digits) = sign(text.strip_prefix("0b")?);
    let magnitude = i64::try_from(magnitude(digits, 2)?).ok()?;
    Some(Scalar::Signed(if sign == Some('-') { -magnitude } else { magnitude }))
}

fn sign(text: &str) -> (Option<char>, &str) {
    match text.chars().next() {
        Some(sign @ ('+' | '-')) => (Some(sign), text.get(1..).unwrap_or_default()),
        _ => (None, text),
    }
}

/// Parses digits without a sign.
fn magnitude(digits: &str, radix: u32) -> Option<u128> {
    let are_digits = digits.bytes().all(|byte| byte.is_ascii_alphanumeric());
    are_digits.then(|| u128::from_str_radix(digits, radix).ok()).flatten()
}

/// A finite decimal number.
fn float(text: &str) -> Option<Scalar<'static>> {
    let (_, rest) = sign(text);
    let (rest, exponent) = rest.split_once(['e', 'E']).map_or((rest, None), |(rest, exponent)| (rest, Some(exponent)));
    let (whole, fraction) = rest.split_once('.').map_or((rest, None), |(whole, fraction)| (whole, Some(fraction)));
    let are_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let is_number = are_digits(whole)
        && fraction.is_none_or(are_digits)
        && !(whole.is_empty() && fraction.is_none_or(str::is_empty));
    let is_exponent =
        |exponent: &str| Some(sign(exponent).1).is_some_and(|digits| !digits.is_empty() && are_digits(digits));
    let is_decimal = is_number && exponent.is_none_or(is_exponent);
    let number = text.parse().ok().filter(|number: &f64| is_decimal && number.is_finite());
    number.map(Scalar::Float)
}

impl Scalar<'_> {
    /// The key that kubectl makes of it. None for kinds that it rejects as keys.
    pub(super) fn into_key(self) -> Option<String> {
        match self {
            Self::Null | Self::Unsigned(_) => None,
            Self::Bool(value) => Some(value.to_string()),
            Self::Signed(number) => Some(number.to_string()),
            Self::Float(number) => Some(general(number)),
            Self::Text(text) => Some(text.into_owned()),
        }
    }

    /// The JSON value that kubectl makes of it. A whole float becomes an integer.
    ///
    /// # Errors
    ///
    /// If it is a number that JSON cannot represent.
    pub(super) fn into_value(self) -> Result<Value, &'static str> {
        /// From this value on, whole numbers stay floats.
        const WHOLE: f64 = 9_223_372_036_854_775_808.0;
        let value = match self {
            Self::Null => Value::Null,
            Self::Bool(value) => value.into(),
            Self::Signed(number) => number.into(),
            #[expect(clippy::cast_precision_loss, reason = "as kubectl does, whose integers are signed")]
            Self::Unsigned(number) => (number as f64).into(),
            #[expect(clippy::cast_possible_truncation, reason = "it is whole and in range")]
            Self::Float(number) if number.fract() == 0.0 && number.abs() < WHOLE => (number as i64).into(),
            Self::Float(number) => {
                let finite = Number::from_f64(number);
                Value::Number(finite.ok_or("infinity and NaN are not valid; if this is text, put it in quotes")?)
            }
            Self::Text(text) => text.into_owned().into(),
        };
        Ok(value)
    }
}

/// A 32-bit number in Go's `%g` format, which kubectl uses for keys.
fn general(number: f64) -> String {
    #[expect(clippy::cast_possible_truncation, reason = "Go rounds it to 32 bits too")]
    let number = number as f32;
    if !number.is_finite() {
        return if number.is_nan() {
            ".nan"
        } else if number > 0.0 {
            ".inf"
        } else {
            "-.inf"
        }
        .to_owned();
    }
    let text = format!("{number:e}");
    let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    match exponent.parse::<i32>() {
        Ok(exponent) if !(-4..6).contains(&exponent) => {
            format!("{mantissa}e{}{:02}", if exponent < 0 { '-' } else { '+' }, exponent.abs())
        }
        _ => number.to_string(),
    }
}
