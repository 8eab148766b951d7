//! The deadline of a request: how long the API server waits for the response.

use std::time::Duration;

use tokio::time::Instant;

/// The deadline of a request with this query.
///
/// The API server adds its timeout, as in `timeout=10s`, to the query of every call. A tenth of it, at most half a second, is
/// reserved for sending the response.
pub(super) fn of(query: Option<&str>) -> Instant {
    /// The default of webhook configurations.
    const DEFAULT: Duration = Duration::from_secs(10);
    /// The maximum of webhook configurations.
    const LONGEST: Duration = Duration::from_secs(30);
    const LONGEST_MARGIN: Duration = Duration::from_millis(500);
    let given = query.into_iter().flat_map(|query| query.split('&')).find_map(|pair| pair.strip_prefix("timeout="));
    let timeout = given.and_then(duration).unwrap_or(DEFAULT).min(LONGEST);
    Instant::now() + timeout.saturating_sub((timeout / 10).min(LONGEST_MARGIN))
}

/// A duration in Go's notation: numbers, each with its unit (`1m30s`, `500ms`, `1.5s`).
fn duration(text: &str) -> Option<Duration> {
    let mut rest = text;
    let mut seconds = 0.0;
    while !rest.is_empty() {
        let (number, after) = rest.split_at(rest.find(|letter: char| letter != '.' && !letter.is_ascii_digit())?);
        let (unit, after) =
            after.split_at(after.find(|letter: char| letter == '.' || letter.is_ascii_digit()).unwrap_or(after.len()));
        let scale = match unit {
            "h" => 3600.0,
            "m" => 60.0,
            "s" => 1.0,
            "ms" => 1e-3,
            "us" | "µs" => 1e-6,
            "ns" => 1e-9,
            _ => return None,
        };
        seconds += number.parse::<f64>().ok()? * scale;
        rest = after;
    }
    Duration::try_from_secs_f64(seconds).ok().filter(|duration| !duration.is_zero())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::duration;

    #[test]
    fn go_durations_are_parsed() {
        for (text, millis) in [("10s", 10_000), ("1m30s", 90_000), ("500ms", 500), ("1.5s", 1500), ("1h", 3_600_000)] {
            assert_eq!(duration(text), Some(Duration::from_millis(millis)), "{text}");
        }
        for text in ["", "10", "s", "-1s", "1x", "1.2.3s", "0s", "ten", "99999999999999999999h"] {
            assert_eq!(duration(text), None, "{text}");
        }
    }
}
