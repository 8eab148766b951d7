//! Suggestions for mistyped names.

use crate::redact::quote;

/// The message for an unknown name: it suggests the most similar one of `known`, or ends with `otherwise` if none is similar.
///
/// `kind` is what the name should name, as in `rule`.
pub(crate) fn unknown<'k>(kind: &str, name: &str, known: impl IntoIterator<Item = &'k str>, otherwise: &str) -> String {
    let quoted = quote(name);
    match nearest(shortened(name), known) {
        Some(nearest) => format!("there is no {kind} {quoted}; did you mean {nearest:?}?"),
        None => format!("there is no {kind} {quoted}; {otherwise}"),
    }
}

/// The start of a name, because comparing takes time proportional to its length.
fn shortened(text: &str) -> &str {
    /// Names in Kubernetes are hardly longer.
    const LONGEST: usize = 100;
    text.get(..text.floor_char_boundary(LONGEST)).unwrap_or_default()
}

/// The most similar name, if one is similar. Of a path, only the last part counts.
fn nearest<'k>(name: &str, known: impl IntoIterator<Item = &'k str>) -> Option<&'k str> {
    let own = last_part(name);
    let distance = |known: &&str| strsim::levenshtein(own, last_part(known));
    known.into_iter().min_by_key(distance).filter(|known| distance(known) <= own.len() / 2)
}

fn last_part(name: &str) -> &str {
    name.rsplit('.').next().unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::{nearest, unknown};

    #[test]
    fn a_mistyped_name_is_found_and_an_unrelated_one_is_not() {
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
