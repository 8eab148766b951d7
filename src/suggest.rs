//! What somebody meant who has mistyped a name.

use crate::redact::quote;

/// What to say of a name that nothing has: the one of `known` that is most like it, or else where `all` are told.
///
/// `kind` is what has names, as in `rule`.
pub(crate) fn unknown<'k>(kind: &str, name: &str, known: impl IntoIterator<Item = &'k str>, all: &str) -> String {
    let quoted = quote(name);
    match nearest(shortened(name), known) {
        Some(nearest) => format!("there is no {kind} {quoted}; did you mean {nearest:?}?"),
        None => format!("there is no {kind} {quoted}; {all}"),
    }
}

/// So much of a text as tells which one it is.
fn shortened(text: &str) -> &str {
    /// The longest names of Kubernetes are little longer; what is longer still is none.
    const LONGEST: usize = 100;
    text.get(..text.floor_char_boundary(LONGEST)).unwrap_or_default()
}

/// The name that is most like `name`, where one is like it at all: by its last part, where names have several.
fn nearest<'k>(name: &str, known: impl IntoIterator<Item = &'k str>) -> Option<&'k str> {
    let own = last_part(name);
    let distance = |known: &&str| distance(own, last_part(known));
    known.into_iter().min_by_key(distance).filter(|known| distance(known) <= own.len() / 2)
}

fn last_part(name: &str) -> &str {
    name.rsplit('.').next().unwrap_or(name)
}

/// How many letters must be inserted, removed or replaced to make one text the other (Levenshtein).
fn distance(one: &str, other: &str) -> usize {
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (line, letter) in one.bytes().enumerate() {
        let mut diagonal = line;
        let mut left = line + 1;
        for (cell, other) in row.iter_mut().skip(1).zip(other.bytes()) {
            left = (diagonal + usize::from(letter != other)).min(left + 1).min(*cell + 1);
            diagonal = std::mem::replace(cell, left);
        }
        if let Some(first) = row.first_mut() {
            *first = line + 1;
        }
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::{nearest, unknown};

    #[test]
    fn what_was_meant_is_found_and_nothing_else() {
        const KNOWN: [&str; 4] = ["audit", "effects", "limits.maxBody", "limits.maxConnections"];
        for (typed, meant) in [
            ("effect", Some("effects")),
            ("maxBody", Some("limits.maxBody")),
            ("max-body", Some("limits.maxBody")),
            ("limits.maxConections", Some("limits.maxConnections")),
            ("zzz", None),
            ("", None),
        ] {
            assert_eq!(nearest(typed, KNOWN), meant, "{typed}");
        }
        assert_eq!(unknown("key", "zzz", KNOWN, "look"), "there is no key \"zzz\"; look");
        assert!(unknown("key", &"é".repeat(1 << 20), KNOWN, "look").len() < 200);
    }
}
