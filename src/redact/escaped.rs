//! Escapes characters that change how the text around them looks.

use std::{borrow::Cow, fmt::Write as _};

/// Returns `text` with an escape for each character that is invisible or controls a terminal or a viewer.
///
/// A right-to-left override makes a name look like another name in a log or a review. A line separator forges a line.
/// Letters of every script stay unchanged. This function does not hide secrets.
///
/// The escapes have the form of Rust's `{:?}` (`\u{202e}`), so that a quoted text and a field path look alike.
pub(crate) fn escaped(text: &str) -> Cow<'_, str> {
    if text.bytes().all(|byte| matches!(byte, b' '..=b'~')) || !text.contains(is_hidden) {
        return Cow::Borrowed(text);
    }
    let mut escaped = String::with_capacity(text.len() + 16);
    for character in text.chars() {
        match character {
            '\n' => escaped.push_str("\\n"),
            '\r' => escaped.push_str("\\r"),
            '\t' => escaped.push_str("\\t"),
            // Writing to a string never fails.
            hidden if is_hidden(hidden) => drop(write!(escaped, "\\u{{{:x}}}", u32::from(hidden))),
            shown => escaped.push(shown),
        }
    }
    Cow::Owned(escaped)
}

/// Whether a character has no glyph or changes the order of other characters.
///
/// These are control characters, bidirectional controls (UAX #9, section 2), line and paragraph separators, soft
/// hyphen, zero-width characters, interlinear annotations and tags.
fn is_hidden(character: char) -> bool {
    character.is_control()
        || matches!(
            character,
            '\u{ad}'
                | '\u{61c}'
                | '\u{180e}'
                | '\u{200b}'..='\u{200f}'
                | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}'
                | '\u{feff}'
                | '\u{fff9}'..='\u{fffb}'
                | '\u{e0000}'..='\u{e007f}'
        )
}

/// Escapes control characters in JSON text. The value of the JSON stays the same.
#[must_use]
pub fn printable_json(text: &str) -> String {
    let mut json = String::with_capacity(text.len());
    for character in text.chars() {
        if character == '\n' || matches!(character, '\'' | '"' | '\\') || character.escape_debug().eq([character]) {
            json.push(character);
        } else {
            for unit in character.encode_utf16(&mut [0; 2]) {
                // Writing to a string never fails.
                let _ = write!(json, "\\u{unit:04x}");
            }
        }
    }
    json
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use super::escaped;

    #[test]
    fn letters_of_every_script_are_shown() {
        for text in ["", "spoke-1", "Köln ~ (1)", "東京 3", "שלום", "مرحبا", "a\\n", "👩‍", "e\u{301}"]
        {
            let is_plain = !text.contains('\u{200d}');
            assert_eq!(matches!(escaped(text), Cow::Borrowed(_)), is_plain, "{text}");
        }
    }

    #[test]
    fn what_steers_a_terminal_or_a_viewer_is_escaped() {
        let expected = [
            ("a\nb\r\t", "a\\nb\\r\\t"),
            ("\u{1b}[31m", "\\u{1b}[31m"),
            ("\u{7f}\u{85}\u{0}", "\\u{7f}\\u{85}\\u{0}"),
            ("a\u{202e}b", "a\\u{202e}b"),
            ("\u{2028}\u{2029}", "\\u{2028}\\u{2029}"),
            ("\u{e0041}ü", "\\u{e0041}ü"),
        ];
        for (text, shown) in expected {
            assert_eq!(escaped(text), shown);
        }
        for control in ['\u{61c}', '\u{200e}', '\u{200f}', '\u{202a}', '\u{202d}', '\u{2066}', '\u{2069}', '\u{200b}'] {
            assert_eq!(escaped(&control.to_string()), control.escape_unicode().to_string());
        }
    }
}
