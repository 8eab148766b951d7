//! The strings of an extension's JSON, however deep they are.

use std::borrow::Cow;

use super::{problem, secrets};
use crate::field::FieldPath;

/// A step from a JSON value to one inside it.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Step<'a> {
    /// To the member of that name.
    Member(Cow<'a, str>),
    /// To the item at that index.
    Item(usize),
}

/// Calls `visit` with every string of a JSON text, names of members too, and the way to it.
///
/// Goes from token to token without recursion: the API server accepts extensions that would end a recursive reader's stack.
/// `json` must be valid JSON, as `serde_json` has found it to be.
pub(super) fn each_string<'a>(json: &'a str, mut visit: impl FnMut(&[Step<'a>], Cow<'a, str>)) {
    let mut steps: Vec<Step<'a>> = Vec::new();
    let mut rest = json;
    while let Some(position) = rest.find(['"', '{', '[', '}', ']', ',']) {
        let (token, after) = rest.get(position..).and_then(|rest| rest.split_at_checked(1)).unwrap_or_default();
        rest = after;
        match token {
            "\"" => {
                let (text, after) = rest_of_string(rest);
                rest = after;
                if let Some(Step::Member(name)) = steps.last_mut()
                    && after.trim_start().starts_with(':')
                {
                    name.clone_from(&text);
                }
                visit(&steps, text);
            }
            "{" => steps.push(Step::Member(Cow::Borrowed(""))),
            "[" => steps.push(Step::Item(0)),
            "," => {
                if let Some(Step::Item(index)) = steps.last_mut() {
                    *index += 1;
                }
            }
            _ => {
                steps.pop();
            }
        }
    }
}

/// A string whose opening quote was read, and what follows its closing one.
fn rest_of_string(text: &str) -> (Cow<'_, str>, &str) {
    let mut escaped = false;
    let end = text.bytes().position(|byte| {
        let ends = byte == b'"' && !escaped;
        escaped = byte == b'\\' && !escaped;
        ends
    });
    let (raw, after) = end.and_then(|end| Some((text.get(..end)?, text.get(end + 1..)?))).unwrap_or((text, ""));
    if !raw.contains('\\') {
        return (Cow::Borrowed(raw), after);
    }
    // A lone surrogate is no text to Rust, but Go reads on past it.
    let decoded = serde_json::from_str(&format!("\"{raw}\""));
    (decoded.map_or(Cow::Borrowed(raw), Cow::Owned), after)
}

/// `path`, and the first steps from there: a path into the depths would be longer than what it leads to.
pub(super) fn append<'a>(path: FieldPath<'a>, steps: &[Step<'a>]) -> FieldPath<'a> {
    /// Deeper than any extension in use.
    const STEPS: usize = 8;
    steps.iter().take(STEPS).fold(path, |path, step| match step {
        Step::Member(name) => path.key(shown(name)),
        Step::Item(index) => path.item(*index, None),
    })
}

/// A name that an author chose, as far as a path may show it.
pub(super) fn shown<'a>(name: &Cow<'a, str>) -> Cow<'a, str> {
    /// Longest name of an environment variable that anybody uses; a token is longer.
    const LENGTH: usize = 63;
    let is_shown = name.len() <= LENGTH && !name.contains(char::is_control) && !secrets::is_secret(name);
    if is_shown { name.clone() } else { Cow::Borrowed(problem::HIDDEN) }
}

#[cfg(test)]
mod tests {
    use super::each_string;

    fn strings(json: &str) -> Vec<String> {
        let mut strings = Vec::new();
        each_string(json, |steps, text| strings.push(format!("{steps:?} {text}")));
        strings
    }

    #[test]
    fn tells_the_way_to_each_string() {
        let found = strings(r#"{"a": {"b,}" : ["x", {"c": "\"y\\"}, 1, "]"]}, "d": "z"}"#);
        let expected = [
            r#"[Member("a")] a"#,
            r#"[Member("a"), Member("b,}")] b,}"#,
            r#"[Member("a"), Member("b,}"), Item(0)] x"#,
            r#"[Member("a"), Member("b,}"), Item(1), Member("c")] c"#,
            r#"[Member("a"), Member("b,}"), Item(1), Member("c")] "y\"#,
            r#"[Member("a"), Member("b,}"), Item(3)] ]"#,
            r#"[Member("d")] d"#,
            r#"[Member("d")] z"#,
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn goes_as_deep_as_the_text() {
        let deep = format!("{}\"x\"{}", "[".repeat(100_000), "]".repeat(100_000));
        let mut depth = 0;
        each_string(&deep, |steps, _| depth = steps.len());
        assert_eq!(depth, 100_000);
    }

    #[test]
    fn reads_past_a_lone_surrogate() {
        assert_eq!(strings(r#"["\ud800", "x"]"#), [r"[Item(0)] \ud800", "[Item(1)] x"]);
    }
}
