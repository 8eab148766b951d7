//! Two ways to the same response: the project's JSON reader and `serde_json`, and a body and the same JSON in another
//! style.

use std::{collections::HashSet, fmt, fmt::Write as _, str};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use clusterprofile_webhook::{
    admission, fuzzing,
    review::{Phase, Policy},
};
use jiff::Timestamp;
use serde::{
    Deserialize, Deserializer,
    de::{self, MapAccess, SeqAccess, Visitor},
};
use serde_json::{Value, json};

use crate::random::Random;

/// Compares the JSON reader with `serde_json` on `body`, and the responses to `body` with those to the same JSON in
/// other styles.
///
/// It skips bodies whose responses may differ: with a duplicate key (`serde_json` keeps the last one, a review refuses
/// it), with a number that a float cannot represent as written (messages show its text), or deeper than the 128 levels
/// of `serde_json`.
///
/// # Panics
///
/// Panics if two results differ.
pub fn differential(body: &[u8]) {
    let Ok(text) = str::from_utf8(body) else { return };
    let read: Result<Value, _> = serde_json::from_str(text);
    match (fuzzing::read(text), &read) {
        (Some(ours), Ok(theirs)) => assert_eq!(ours, *theirs, "the readers disagree"),
        (Some(_), Err(error)) => {
            let is_deep = error.to_string().starts_with("recursion limit exceeded");
            assert!(is_deep, "invalid JSON is accepted: {error}");
        }
        (None, Ok(_)) => panic!("valid JSON is rejected"),
        (None, Err(_)) => {}
    }
    let Ok(value) = read else { return };
    if serde_json::from_str::<Unique>(text).is_err() || !numbers_are_plain(text) {
        return;
    }
    let again = value.to_string();
    let seed = body.iter().fold(0, |seed: u64, byte| seed.wrapping_mul(31).wrapping_add(u64::from(*byte)));
    let mut restyled = String::new();
    restyle(&value, &mut Random(seed), &mut restyled);
    for phase in [Phase::Mutate, Phase::Validate] {
        let expected = answer(&again, phase);
        assert_eq!(answer(text, phase), expected, "{phase}: the same JSON written again:\n{again}");
        assert_eq!(answer(&restyled, phase), expected, "{phase}: the same JSON written otherwise:\n{restyled}");
    }
}

/// The response with sorted findings, whose order is that of the fields. `None` if `body` is not a review.
fn answer(body: &str, phase: Phase) -> Option<Value> {
    let now = Timestamp::from_second(1_780_000_000).expect("2026 is in range");
    let mut policy = Policy::default();
    policy.set_break_glass(true);
    let answer = admission::respond(body.as_bytes(), phase, &policy, now).ok()?;
    let mut review: Value = serde_json::from_slice(&answer.body).expect("an answer is JSON");
    let mut response = review["response"].take();
    let sort = |list: &mut Value| {
        if let Some(items) = list.as_array_mut() {
            items.sort_by_cached_key(ToString::to_string);
        }
    };
    if let Some(patch) = response.get("patch") {
        let patch = STANDARD.decode(patch.as_str().expect("a patch is a string")).expect("a patch is base64");
        response["patch"] = serde_json::from_slice(&patch).expect("a patch is JSON");
        sort(&mut response["patch"]);
    }
    if let Some(status) = response.get_mut("status") {
        // It repeats all causes, or has a position in the text.
        status["message"] = Value::Null;
        sort(&mut status["details"]["causes"]);
    }
    if let Some(warnings) = response.get_mut("warnings") {
        sort(warnings);
    }
    Some(json!({
        "response": response, "rules": answer.rules, "part": answer.part, "operation": answer.operation,
        "namespace": answer.namespace, "name": answer.name, "exempt": answer.exempt, "claims": answer.claim.is_some(),
    }))
}

/// Writes `value` with random white space, escapes and order of fields.
fn restyle(value: &Value, random: &mut Random, text: &mut String) {
    fn list<T>(
        items: &[T],
        ends: [char; 2],
        random: &mut Random,
        text: &mut String,
        mut write: impl FnMut(&T, &mut Random, &mut String),
    ) {
        text.push(ends[0]);
        for (index, item) in items.iter().enumerate() {
            if index > 0 {
                text.push(',');
            }
            write(item, random, text);
        }
        space(random, text);
        text.push(ends[1]);
    }
    space(random, text);
    match value {
        Value::String(string) => quoted(string, random, text),
        Value::Array(items) => list(items, ['[', ']'], random, text, restyle),
        Value::Object(fields) => {
            let mut fields: Vec<_> = fields.iter().collect();
            for end in (1..fields.len()).rev() {
                fields.swap(end, random.below(end + 1));
            }
            list(&fields, ['{', '}'], random, text, |(name, value), random, text| {
                space(random, text);
                quoted(name, random, text);
                space(random, text);
                text.push(':');
                restyle(value, random, text);
            });
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => text.push_str(&value.to_string()),
    }
    space(random, text);
}

fn space(random: &mut Random, text: &mut String) {
    if random.below(6) == 0 {
        let longest = *random.one_of(&[1, 3, 70]);
        (0..=random.below(longest)).for_each(|_| text.push(*random.one_of(&[' ', '\n', '\t', '\r'])));
    }
}

fn quoted(string: &str, random: &mut Random, text: &mut String) {
    let often = *random.one_of(&[1, 20, 1000]);
    text.push('"');
    for character in string.chars() {
        if random.below(often) == 0 || character < ' ' || matches!(character, '"' | '\\') {
            let units = character.encode_utf16(&mut [0; 2]).to_vec();
            for unit in units {
                write!(text, "\\u{unit:04x}").expect("a string takes all that is written to it");
            }
        } else {
            text.push(character);
        }
    }
    text.push('"');
}

/// Whether `serde_json` writes each number as it is in `text`.
fn numbers_are_plain(text: &str) -> bool {
    let mut rest = text;
    while let Some(at) = rest.find(|letter: char| letter == '"' || letter == '-' || letter.is_ascii_digit()) {
        rest = &rest[at..];
        if let Some(string) = rest.strip_prefix('"') {
            let mut escaped = false;
            let end = string.find(|letter| {
                let is_end = letter == '"' && !escaped;
                escaped = letter == '\\' && !escaped;
                is_end
            });
            rest = &string[end.expect("it is JSON") + 1..];
        } else {
            let end = rest.find(|letter: char| !letter.is_ascii_alphanumeric() && !"+-.".contains(letter));
            let (number, after) = rest.split_at(end.unwrap_or(rest.len()));
            let value: Value = serde_json::from_str(number).expect("it is JSON");
            let again = value.to_string();
            if again != number {
                return false;
            }
            rest = after;
        }
    }
    true
}

/// Any JSON without duplicate keys.
struct Unique;

impl<'de> Deserialize<'de> for Unique {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Self)
    }
}

impl<'de> Visitor<'de> for Unique {
    type Value = Self;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_str<E>(self, _: &str) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self, A::Error> {
        while items.next_element::<Self>()?.is_some() {}
        Ok(self)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Self, A::Error> {
        let mut names = HashSet::new();
        while let Some((name, Self)) = fields.next_entry::<String, Self>()? {
            if !names.insert(name) {
                return Err(de::Error::custom("twice"));
            }
        }
        Ok(self)
    }
}
