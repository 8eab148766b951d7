//! The series and labels that a `PromQL` query refers to. Prometheus itself checks the syntax.

use std::collections::BTreeSet;

/// The series that a query selects, and the labels that it groups and matches by.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct References {
    /// A metric with its matchers: `up{job="a"}`.
    pub selectors: Vec<String>,
    pub labels: BTreeSet<String>,
}

/// Words before a list of labels in parentheses.
const CLAUSES: [&str; 6] = ["by", "without", "on", "ignoring", "group_left", "group_right"];

/// Other words that are not metrics. A word that is missing here is taken for a metric, and then reported as unknown.
const WORDS: [&str; 11] = ["and", "or", "unless", "bool", "offset", "sum", "min", "max", "count", "avg", "topk"];

impl References {
    pub(crate) fn of(query: &str) -> Self {
        let mut found = Self::default();
        let mut rest = query;
        while let Some(first) = rest.chars().next() {
            let is_word = first.is_ascii_alphabetic() || "_:".contains(first);
            if first == '"' || first == '[' {
                let close = if first == '"' { '"' } else { ']' };
                rest = split_after(&rest[1..], close).1;
            } else if first.is_ascii_digit() {
                rest = rest.trim_start_matches(|letter: char| letter.is_ascii_alphanumeric() || letter == '.');
            } else if is_word {
                let end = rest.find(|letter: char| !letter.is_ascii_alphanumeric() && !"_:".contains(letter));
                let (word, after) = rest.split_at(end.unwrap_or(rest.len()));
                rest = found.take(word, after.trim_start());
            } else {
                rest = &rest[first.len_utf8()..];
            }
        }
        found
    }

    /// Reads a word with its arguments. Returns the rest.
    fn take<'q>(&mut self, word: &str, after: &'q str) -> &'q str {
        if CLAUSES.contains(&word) {
            let (labels, rest) = split_after(after.strip_prefix('(').expect("labels are in parentheses"), ')');
            let labels = labels.split(',').map(str::trim).filter(|label| !label.is_empty());
            self.labels.extend(labels.map(ToOwned::to_owned));
            return rest;
        }
        if after.starts_with('(') || WORDS.contains(&word) {
            return after;
        }
        let Some(matchers) = after.strip_prefix('{') else {
            self.selectors.push(word.to_owned());
            return after;
        };
        let (matchers, rest) = split_after(matchers, '}');
        self.selectors.push(format!("{word}{{{matchers}}}"));
        rest
    }
}

/// Splits `text` at the first `close` outside of a string.
fn split_after(text: &str, close: char) -> (&str, &str) {
    let mut is_in_string = false;
    let end = text.char_indices().find(|(_, letter)| {
        let ends = *letter == close && !is_in_string;
        is_in_string ^= *letter == '"';
        ends
    });
    let (index, _) = end.unwrap_or_else(|| panic!("{close} does not come: {text}"));
    (&text[..index], &text[index + close.len_utf8()..])
}
