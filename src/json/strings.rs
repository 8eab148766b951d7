//! Finds every string in the JSON of an extension, at any depth.

use std::{borrow::Cow, cell::OnceCell};

/// A step from a JSON value to one inside it.
#[derive(Debug)]
pub(crate) enum Step<'a> {
    /// To the member with this name.
    Member(Name<'a>),
    /// To the item at this index.
    Item(usize),
}

/// A member's name, with its form for field paths. That form takes a search for secrets, so it is computed at most once.
#[derive(Debug, Default)]
pub(crate) struct Name<'a> {
    text: Cow<'a, str>,
    shown: OnceCell<Cow<'a, str>>,
}

impl<'a> Name<'a> {
    /// Returns the form of the name for field paths. `shown` computes it on the first call.
    pub(crate) fn shown(&self, shown: impl Fn(&Cow<'a, str>) -> Cow<'a, str>) -> Cow<'a, str> {
        self.shown.get_or_init(|| shown(&self.text)).clone()
    }
}

/// Maximum number of steps that are kept, deeper than any extension in use.
///
/// Without a limit, the path into a text of only brackets takes many times the memory of the text.
const STEPS: usize = 8;

/// Calls `visit` with every string of a JSON text and the first [`STEPS`] steps of its path.
///
/// Names of members count as strings. The function does not recurse, because the API server accepts extensions nested deeper
/// than a stack allows. The caller passes valid JSON, which [`Reader::raw`](super::Reader::raw) has checked.
pub(crate) fn each_string<'a>(json: &'a str, mut visit: impl FnMut(&[Step<'a>], Cow<'a, str>)) {
    let mut steps: Vec<Step<'a>> = Vec::new();
    let mut depth = 0_usize;
    let mut rest = json;
    while let Some(position) = rest.find(['"', '{', '[', '}', ']', ',']) {
        let (token, after) = rest.get(position..).and_then(|rest| rest.split_at_checked(1)).unwrap_or_default();
        rest = after;
        let innermost = if depth <= STEPS { steps.last_mut() } else { None };
        match (token, innermost) {
            ("\"", innermost) => {
                let (text, after) = rest_of_string(rest);
                rest = after;
                if let Some(Step::Member(name)) = innermost
                    && after.trim_start().starts_with(':')
                {
                    *name = Name { text: text.clone(), shown: OnceCell::new() };
                }
                visit(&steps, text);
            }
            ("{" | "[", _) => {
                if depth < STEPS {
                    steps.push(if token == "{" { Step::Member(Name::default()) } else { Step::Item(0) });
                }
                depth += 1;
            }
            (",", Some(Step::Item(index))) => *index += 1,
            (",", _) => {}
            _ => {
                depth = depth.saturating_sub(1);
                steps.truncate(depth);
            }
        }
    }
}

/// Decodes a string after its opening quote, and returns it with the text after its closing quote.
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
    // Rust cannot decode a lone surrogate. Go accepts it, so keep the string as written.
    let decoded = serde_json::from_str(&format!("\"{raw}\""));
    (decoded.map_or(Cow::Borrowed(raw), Cow::Owned), after)
}

#[cfg(test)]
mod tests {
    use super::{STEPS, Step, each_string};

    fn strings(json: &str) -> Vec<String> {
        let mut strings = Vec::new();
        each_string(json, |steps, text| {
            let path = steps.iter().map(|step| match step {
                Step::Member(name) => format!(".{}", name.text),
                Step::Item(index) => format!("[{index}]"),
            });
            strings.push(format!("{} {text}", path.collect::<String>()));
        });
        strings
    }

    #[test]
    fn visits_each_string_with_its_path() {
        let found = strings(r#"{"a": {"b,}" : ["x", {"c": "\"y\\"}, 1, "]"]}, "d": "z"}"#);
        let expected =
            [".a a", ".a.b,} b,}", ".a.b,}[0] x", ".a.b,}[1].c c", r#".a.b,}[1].c "y\"#, ".a.b,}[3] ]", ".d d", ".d z"];
        assert_eq!(found, expected);
    }

    #[test]
    fn visits_strings_at_any_depth_and_keeps_the_first_steps() {
        let deep = format!(r#"[{}"x"{}, "y"]"#, "[".repeat(100_000), "]".repeat(100_000));
        assert_eq!(strings(&deep), [format!("{} x", "[0]".repeat(STEPS)), "[1] y".to_owned()]);
    }

    #[test]
    fn reads_past_a_lone_surrogate() {
        assert_eq!(strings(r#"["\ud800", "x"]"#), [r"[0] \ud800", "[1] x"]);
    }
}
