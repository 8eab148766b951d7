//! Formats errors for messages and log lines.

use std::{error::Error, iter};

/// The error and its causes, separated by colons. Of system errors without the number, as in "(os error 2)".
#[must_use]
pub fn error_chain(error: &(dyn Error + 'static)) -> String {
    let causes = iter::successors(Some(error), |&error| error.source());
    causes.map(|cause| without_number(cause.to_string())).collect::<Vec<_>>().join(": ")
}

fn without_number(mut text: String) -> String {
    if let Some((words, number)) = text.rsplit_once(" (os error ")
        && number.trim_end_matches(|last: char| last.is_ascii_digit() || last == ')').is_empty()
    {
        text.truncate(words.len());
    }
    text
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::error_chain;

    #[test]
    fn system_errors_are_shown_without_their_number() {
        let missing = io::Error::from_raw_os_error(2);
        assert!(missing.to_string().ends_with(" (os error 2)"));
        assert_eq!(error_chain(&missing), "No such file or directory");
        assert_eq!(error_chain(&io::Error::other("an (os error occurred)")), "an (os error occurred)");
    }
}
