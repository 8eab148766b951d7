//! What is wrong with YAML, in the parser's words, but for those that would mislead.

use serde_saphyr::Error;

use crate::nearest::shortened;

/// The error itself, where an alias repeats what is wrong.
pub(crate) fn at_its_place(error: &Error) -> &Error {
    if let Error::AliasError { error, .. } = error { error } else { error }
}

/// What is wrong, on one line, without its place.
pub(crate) fn cause(error: &Error) -> String {
    if let Error::DuplicateMappingKey { key: Some(key), .. } = at_its_place(error) {
        return format!("{:?} must not be there twice", shortened(key));
    }
    let text = error.to_string().replace(['\n', '\r'], " ");
    text.split(" at line ").next().unwrap_or_default().to_owned()
}
