//! Plain words for what is wrong with YAML: the parser's own messages name parts of the parser, or quote the text.

use serde_saphyr::Error;

use crate::redact::quote;

/// The cause for a file with unrendered template actions.
pub(crate) const TEMPLATE: &str = "{{ … }} is not YAML; if this is a Helm template, render it first (helm template)";

pub(crate) const NULL_KEY: &str = "a key is missing before ':', or is null; put it in quotes";
pub(crate) const ALIAS_OF_ITSELF: &str = "an alias cannot refer to a value that contains it";

/// Messages of the parser, and what to report instead.
const PLAIN: [(&str, &str); 19] = [
    ("unexpected eof", "the file ends inside a value; close every bracket, brace and quote"),
    ("unexpected EOF", "the file ends inside a value; close every bracket, brace and quote"),
    ("expected <document start>", "a document must be one value; start the next document with ---"),
    ("a flow mapping, did not find", "missing ',' or '}' in a mapping { … }"),
    ("a flow sequence, expected", "missing ',' or ']' in a list [ … ]"),
    ("a block mapping, did not find", "expected a key; check the indentation of this line"),
    ("expected '-' indicator", "expected a list item that starts with '-'; check the indentation of this line"),
    ("unknown anchor", "an alias (*name) must come after its anchor (&name)"),
    ("expected node content", "a value is missing here"),
    ("handle wasn't declared", "unknown tag"),
    ("simple key", "missing ':' after a key; write a key and its ':' on the same line"),
    ("tabs disallowed", "indent with spaces, not with tabs"),
    ("comment intercepting", "a comment is inside a text of several lines; put the text in quotes"),
    ("comments must be separated", "put a space before '#'"),
    ("mapping values are not allowed", "unexpected ':'; check the indentation of this line, or put the text in quotes"),
    ("unexpected character", "a value cannot start with this character; put it in quotes"),
    ("recursive references", ALIAS_OF_ITSELF),
    ("deserialize null into string", NULL_KEY),
    ("expected string scalar", "a key cannot be a list or a mapping"),
];

/// The parser's message in plain words.
pub(crate) fn plain(cause: &str) -> &str {
    PLAIN.iter().find(|(message, _)| cause.contains(message)).map_or(cause, |(_, plain)| *plain)
}

/// What is wrong with bytes that are not UTF-8.
pub(crate) fn not_text(bytes: &[u8]) -> &'static str {
    const GZIP: [u8; 2] = [0x1f, 0x8b];
    if bytes.starts_with(&GZIP) {
        "the file is compressed with gzip; decompress it first"
    } else {
        "not UTF-8 text; save the file as UTF-8"
    }
}

/// Whether this line of a text, from 1, or the one before it has a template action.
pub(crate) fn is_template(text: &str, line: usize) -> bool {
    text.lines().skip(line.saturating_sub(2)).take(2).any(|line| line.contains("{{"))
}

/// What is wrong with a key that occurs twice in a mapping.
pub(crate) fn duplicate(key: &str) -> String {
    format!("duplicate key {}", quote(key))
}

/// The error itself, where an alias repeats it.
pub(crate) fn at_its_place(error: &Error) -> &Error {
    if let Error::AliasError { error, .. } = error { error } else { error }
}

/// What is wrong with the configuration file, on one line and without the position.
pub(crate) fn cause(error: &Error) -> String {
    match at_its_place(error) {
        Error::DuplicateMappingKey { key: Some(key), .. } => duplicate(key),
        Error::NonFiniteFloat { .. } => "a number must be finite".into(),
        Error::SerdeInvalidType { .. } | Error::SerdeInvalidValue { .. } => "a key must be a string".into(),
        _ => {
            let text = error.to_string().replace(['\n', '\r'], " ");
            plain(text.split(" at line ").next().unwrap_or_default()).to_owned()
        }
    }
}
