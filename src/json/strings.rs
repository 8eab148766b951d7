//! The strings of an extension's JSON, however deep they are.

use std::{borrow::Cow, cell::OnceCell};

/// A step from a JSON value to one inside it.
#[derive(Debug)]
pub(crate) enum Step<'a> {
    /// To the member of that name.
    Member(Name<'a>),
    /// To the item at that index.
    Item(usize),
}

/// A member's name, and whether a path may show it, which takes a search and so is found out once.
#[derive(Debug, Default)]
pub(crate) struct Name<'a> {
    text: Cow<'a, str>,
    shown: OnceCell<Cow<'a, str>>,
}

impl<'a> Name<'a> {
    /// What a path may show of it, by `shown`, which is asked once.
    pub(crate) fn shown(&self, shown: impl Fn(&Cow<'a, str>) -> Cow<'a, str>) -> Cow<'a, str> {
        self.shown.get_or_init(|| shown(&self.text)).clone()
    }
}

/// Most steps that are kept: deeper than any extension in use. The way into a text of nothing but brackets would take many
/// times its memory, and a path into the depths would be longer than what it leads to.
const STEPS: usize = 8;

/// Calls `visit` with every string of a JSON text, names of members too, and the first steps of the way to it.
///
/// Goes from token to token without recursion: the API server accepts extensions that would end a recursive reader's stack.
/// `json` must be valid JSON, as `serde_json` has found it to be.
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

#[cfg(test)]
mod tests {
    use super::{STEPS, Step, each_string};

    fn strings(json: &str) -> Vec<String> {
        let mut strings = Vec::new();
        each_string(json, |steps, text| {
            let way = steps.iter().map(|step| match step {
                Step::Member(name) => format!(".{}", name.text),
                Step::Item(index) => format!("[{index}]"),
            });
            strings.push(format!("{} {text}", way.collect::<String>()));
        });
        strings
    }

    #[test]
    fn tells_the_way_to_each_string() {
        let found = strings(r#"{"a": {"b,}" : ["x", {"c": "\"y\\"}, 1, "]"]}, "d": "z"}"#);
        let expected =
            [".a a", ".a.b,} b,}", ".a.b,}[0] x", ".a.b,}[1].c c", r#".a.b,}[1].c "y\"#, ".a.b,}[3] ]", ".d d", ".d z"];
        assert_eq!(found, expected);
    }

    #[test]
    fn goes_as_deep_as_the_text_and_keeps_the_first_steps() {
        let deep = format!(r#"[{}"x"{}, "y"]"#, "[".repeat(100_000), "]".repeat(100_000));
        assert_eq!(strings(&deep), [format!("{} x", "[0]".repeat(STEPS)), "[1] y".to_owned()]);
    }

    #[test]
    fn reads_past_a_lone_surrogate() {
        assert_eq!(strings(r#"["\ud800", "x"]"#), [r"[0] \ud800", "[1] x"]);
    }
}
