//! What must never be printed as it is.

use std::borrow::Cow;

/// `text` without what a terminal or a reader takes for something else.
pub(crate) fn escaped(text: &str) -> Cow<'_, str> {
    if text.contains(char::is_control) { Cow::Owned(text.escape_debug().to_string()) } else { Cow::Borrowed(text) }
}
