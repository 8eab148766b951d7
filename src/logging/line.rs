//! The format of a log line.
//!
//! The formatter of `tracing-subscriber` would cost a fifth of a small review: it formats each value with `Debug`, letter by
//! letter, and JSON through a map.

use std::fmt::{self, Write as _};

use clusterprofile_webhook::redact::printable_json;
use tracing::{
    Event, Level, Subscriber,
    field::{Field, Visit},
};
use tracing_subscriber::{
    fmt::{
        FmtContext, FormatEvent, FormatFields,
        format::Writer,
        time::{FormatTime as _, SystemTime},
    },
    registry::LookupSpan,
};

use super::Format;

impl<S, N> FormatEvent<S, N> for Format
where
    S: Subscriber + for<'s> LookupSpan<'s>,
    N: for<'w> FormatFields<'w> + 'static,
{
    fn format_event(&self, _: &FmtContext<'_, S, N>, mut line: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        // kube logs responses that it cannot parse, which may be the Secret with the CA key. Its errors do not quote them.
        if event.metadata().target().starts_with("kube_client") {
            return Ok(());
        }
        let level = event.metadata().level();
        match self {
            Self::Text => {
                SystemTime.format_time(&mut line)?;
                let [on, off] = if line.has_ansi_escapes() { [color(*level), "\x1b[0m"] } else { ["", ""] };
                write!(line, " {on}{level:>5}{off}")?;
            }
            Self::Json => {
                line.write_str(r#"{"timestamp":""#)?;
                SystemTime.format_time(&mut line)?;
                line.write_str(r#"","level":""#)?;
                line.write_str(level.as_str())?;
                line.write_char('"')?;
            }
        }
        let mut fields = Fields { format: *self, line, written: Ok(()) };
        event.record(&mut fields);
        let Fields { mut line, written, .. } = fields;
        written?;
        line.write_str(if matches!(self, Self::Json) { "}\n" } else { "\n" })
    }
}

fn color(level: Level) -> &'static str {
    match level {
        Level::ERROR => "\x1b[31m",
        Level::WARN => "\x1b[33m",
        Level::INFO => "\x1b[32m",
        _ => "\x1b[2m",
    }
}

/// Writes the fields of an event into its line.
struct Fields<'w> {
    format: Format,
    line: Writer<'w>,
    written: fmt::Result,
}

impl Fields<'_> {
    fn add(&mut self, field: &Field, value: impl FnOnce(Format, &mut Writer<'_>) -> fmt::Result) {
        let Self { format, line, written } = self;
        if written.is_ok() {
            *written = name(*format, field.name(), line).and_then(|()| value(*format, line));
        }
    }
}

/// Writes the separator and the name of a field. In text, the message has no name.
fn name(format: Format, name: &str, line: &mut Writer<'_>) -> fmt::Result {
    let (before, after) = match format {
        Format::Json => (",\"", "\":"),
        Format::Text if name == MESSAGE => return line.write_char(' '),
        Format::Text => (" ", "="),
    };
    line.write_str(before)?;
    line.write_str(name)?;
    line.write_str(after)
}

/// The name of the message field in tracing.
const MESSAGE: &str = "message";

impl Visit for Fields<'_> {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.add(field, |format, line| quoted(format, value, line));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.add(field, |_, line| write!(line, "{value}"));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.add(field, |_, line| write!(line, "{value}"));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.add(field, |_, line| line.write_str(if value { "true" } else { "false" }));
    }

    /// Records messages, and values logged with `%`.
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.add(field, |format, line| {
            let mut text = String::new();
            // If formatting fails, keep what was written. `format!` would panic.
            let _ = write!(text, "{value:?}");
            match format {
                Format::Text if !text.contains(char::is_control) => line.write_str(&text),
                _ => quoted(format, &text, line),
            }
        });
    }
}

/// Writes a quoted string, escaped as the format requires.
fn quoted(format: Format, value: &str, line: &mut Writer<'_>) -> fmt::Result {
    if value.bytes().all(|byte| matches!(byte, b' '..=b'~') && !matches!(byte, b'"' | b'\\')) {
        line.write_char('"')?;
        line.write_str(value)?;
        return line.write_char('"');
    }
    match format {
        // Both escape control characters, so that a terminal does not obey them.
        Format::Text => write!(line, "{value:?}"),
        Format::Json => line.write_str(&printable_json(&serde_json::to_string(value).map_err(|_| fmt::Error)?)),
    }
}

#[cfg(test)]
mod tests {
    use std::{
        fmt, io,
        sync::{Arc, Mutex},
    };

    use serde_json::{Value, json};
    use tracing::{debug, info, subscriber::with_default, warn};

    use super::Format;

    #[derive(Clone, Default)]
    struct Written(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Written {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn logged(format: Format, colors: bool, log: impl FnOnce()) -> String {
        let written = Written::default();
        let writer = written.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_writer(move || writer.clone())
            .with_ansi(colors)
            .event_format(format)
            .finish();
        with_default(subscriber, log);
        let bytes = written.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    fn some_lines() {
        info!(uid = "a", empty = "", allowed = true, micros = 7_u64, below = -1_i64, phase = %"mutate", "review");
        warn!(error = %"a\u{1b}[31m", name = "\"\\\u{1b}é", none = Option::<&str>::None, "two words");
        debug!("below the level");
    }

    #[test]
    fn text_lines() {
        let lines = logged(Format::Text, false, some_lines);
        let lines: Vec<_> = lines.lines().map(|line| line.split_once("Z ").unwrap().1).collect();
        let expected = [
            r#" INFO review uid="a" empty="" allowed=true micros=7 below=-1 phase=mutate"#,
            r#" WARN two words error="a\u{1b}[31m" name="\"\\\u{1b}é""#,
        ];
        assert_eq!(lines, expected);
        assert!(logged(Format::Text, true, some_lines).contains("Z \u{1b}[32m INFO\u{1b}[0m review"));
    }

    #[test]
    fn a_value_that_fails_to_format_ends_where_it_failed() {
        struct Failing;
        impl fmt::Display for Failing {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("so far")?;
                Err(fmt::Error)
            }
        }
        let lines = logged(Format::Json, false, || info!(error = %Failing, after = 1, "failing"));
        assert!(lines.ends_with("\"message\":\"failing\",\"error\":\"so far\",\"after\":1}\n"), "{lines}");
    }

    #[test]
    fn json_lines() {
        let lines = logged(Format::Json, true, some_lines);
        let lines = lines.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        let expected = [
            json!({"level": "INFO", "message": "review", "uid": "a", "empty": "", "allowed": true, "micros": 7, "below": -1, "phase": "mutate"}),
            json!({"level": "WARN", "message": "two words", "error": "a\u{1b}[31m", "name": "\"\\\u{1b}é"}),
        ];
        for (mut line, expected) in lines.zip(expected) {
            let time = line.as_object_mut().unwrap().remove("timestamp").unwrap();
            assert!(time.as_str().unwrap().parse::<jiff::Timestamp>().is_ok(), "{time}");
            assert_eq!(line, expected);
        }
    }

    #[test]
    fn no_format_has_characters_that_steer_a_terminal() {
        const NAME: &str = "n\u{202e}\u{9b}31m\u{7f}x";
        for format in [Format::Json, Format::Text] {
            let line = logged(format, false, || info!(name = NAME, "review"));
            assert!(line.trim_end().chars().all(|letter| matches!(letter, ' '..='~')), "{line:?}");
        }
        let line = logged(Format::Json, false, || info!(name = NAME, "review"));
        assert_eq!(serde_json::from_str::<Value>(&line).unwrap()["name"], NAME);
    }
}
