//! What is wrong with the YAML of the configuration file: the parser's words, but for those that show its insides or the text.

use serde_saphyr::Error;

use crate::redact::quote;

/// The error itself, where an alias repeats what is wrong.
pub(crate) fn at_its_place(error: &Error) -> &Error {
    if let Error::AliasError { error, .. } = error { error } else { error }
}

/// What is wrong, on one line, without its place.
pub(crate) fn cause(error: &Error) -> String {
    match at_its_place(error) {
        Error::DuplicateMappingKey { key: Some(key), .. } => format!("{} must not be there twice", quote(key)),
        Error::InvalidUtf8Input | Error::IOError { .. } => "must be UTF-8".into(),
        Error::NonFiniteFloat { .. } => "a number must be finite".into(),
        Error::SerdeInvalidType { .. } | Error::SerdeInvalidValue { .. } => "a key must be a string".into(),
        _ => {
            let text = error.to_string().replace(['\n', '\r'], " ");
            text.split(" at line ").next().unwrap_or_default().to_owned()
        }
    }
}
