//! Sizes and durations as flags and the configuration file have them.

use std::time::Duration;

use jiff::{Span, SpanRelativeTo};

/// Which form a size must have.
pub(crate) const SIZE_FORM: &str = "a number of bytes, or with a unit (KiB, MiB or GiB), such as 8MiB";

/// Parses a number of bytes: `1000`, `64KiB`, `8MiB`, `1GiB`. Zero is an error.
///
/// # Errors
///
/// Which form the text must have.
pub fn size(text: &str) -> Result<usize, String> {
    let wrong = || format!("must be {SIZE_FORM}");
    let digits = text.trim_end_matches(|letter: char| letter.is_ascii_alphabetic());
    let unit: usize = match text.get(digits.len()..).unwrap_or_default() {
        "" | "B" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        _ => return Err(wrong()),
    };
    let digits = Some(digits).filter(|digits| !digits.starts_with(['+', '0'])).unwrap_or_default();
    let size = digits.parse::<usize>().ok().and_then(|number| number.checked_mul(unit));
    size.filter(|size| *size > 0).ok_or_else(wrong)
}

/// A number of bytes in the largest unit that it is a multiple of, as [`size`] parses it.
pub(crate) fn display_size(bytes: usize) -> String {
    let units = [(1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
    match units.into_iter().find(|(unit, _)| bytes.is_multiple_of(*unit)) {
        Some((unit, name)) => format!("{}{name}", bytes / unit),
        None => bytes.to_string(),
    }
}

/// Parses a duration: `15s`, `500ms`, `1m30s`, `12h`, `7d`, `0s`. A day has 24 hours.
///
/// # Errors
///
/// Which form the text must have.
pub fn duration(text: &str) -> Result<Duration, String> {
    // jiff also parses ISO 8601, spaces and decimal commas.
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'.' || !byte.is_ascii();
    let text =
        Some(text).filter(|text| text.starts_with(|first: char| first.is_ascii_digit()) && text.bytes().all(is_plain));
    let span =
        text.unwrap_or_default().parse::<Span>().and_then(|span| span.to_duration(SpanRelativeTo::days_are_24_hours()));
    let duration = span.ok().and_then(|duration| Duration::try_from(duration).ok());
    duration.ok_or_else(|| "must be a number with a unit (ms, s, m, h or d), such as 15s or 1h30m".into())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{display_size, duration, size};

    #[test]
    fn sizes_and_durations() {
        assert_eq!(size("8MiB"), Ok(8 << 20));
        assert_eq!(size("1000"), Ok(1000));
        for text in ["1", "1000", "1KiB", "1025KiB", "8MiB", "3GiB"] {
            assert_eq!(size(text).map(display_size), Ok(text.to_owned()));
        }
        for bad in ["", "0", "-1", "8MB", "1.5MiB", "+8MiB", "08MiB", "MiB", "99999999999GiB"] {
            assert!(size(bad).is_err(), "{bad}");
        }
        assert_eq!(duration("15s"), Ok(Duration::from_secs(15)));
        assert_eq!(duration("2m"), Ok(Duration::from_mins(2)));
        assert_eq!(duration("7d"), Ok(Duration::from_hours(168)));
        for (text, millis) in [("1m30s", 90_000), ("500ms", 500), ("1.5s", 1500), ("1h0m0s", 3_600_000), ("2µs", 0)] {
            assert_eq!(duration(text).map(|it| it.as_millis()), Ok(millis), "{text}");
        }
        assert_eq!(duration("0s"), Ok(Duration::ZERO));
        for bad in [
            "",
            "15",
            "s",
            "-1s",
            "1x",
            "1.2.3s",
            "ten",
            "1,500s",
            "PT1H",
            "1 h",
            "5s\n",
            "01:30:00",
            "1y",
            "1mo",
            "99999999999999999999h",
        ] {
            assert!(duration(bad).is_err(), "{bad}");
        }
    }
}
