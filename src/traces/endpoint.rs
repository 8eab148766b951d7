//! The URL of a collector.

use std::{fmt, str::FromStr};

use axum::http::Uri;

use super::TracesError;

/// The URL of a collector that accepts OTLP over HTTP: `http://HOST:PORT`, optionally with a path prefix.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// Host and port.
    pub(super) authority: String,
    /// The path for traces.
    pub(super) path: String,
}

impl FromStr for Endpoint {
    type Err = TracesError;

    /// Parses a URL. The port is required, because OTLP does not use the port of HTTP. A user name, password or query is an
    /// error, because it would not be sent.
    fn from_str(text: &str) -> Result<Self, TracesError> {
        if text.starts_with("https:") {
            return Err(TracesError::Https);
        }
        let url: Uri = text.parse().map_err(|_| TracesError::Endpoint)?;
        let authority =
            url.authority().filter(|authority| !authority.as_str().contains('@') && !authority.host().is_empty());
        let authority = authority.filter(|authority| authority.port_u16().is_some()).ok_or(TracesError::Endpoint)?;
        if url.scheme_str() != Some("http") || url.query().is_some() {
            return Err(TracesError::Endpoint);
        }
        // The same path as for OTEL_EXPORTER_OTLP_ENDPOINT.
        let path = format!("{}/v1/traces", url.path().trim_end_matches('/'));
        Ok(Self { authority: authority.to_string(), path })
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "http://{}{}", self.authority, self.path)
    }
}

#[cfg(test)]
mod tests {
    use super::{Endpoint, TracesError};

    #[test]
    fn only_http_urls_with_a_port_are_accepted() {
        for (url, expected) in [
            ("http://collector.observability:4318", "http://collector.observability:4318/v1/traces"),
            ("http://127.0.0.1:4318/", "http://127.0.0.1:4318/v1/traces"),
            ("http://[::1]:80/otlp", "http://[::1]:80/otlp/v1/traces"),
        ] {
            assert_eq!(url.parse::<Endpoint>().unwrap().to_string(), expected);
        }
        assert!(matches!("https://a:4318".parse::<Endpoint>(), Err(TracesError::Https)));
        for bad in [
            "",
            "a",
            "a:4318",
            "http://",
            "http://:4318",
            "http://a",
            "http://a:b",
            "http://a:4318?b",
            "http://a@b:1",
            "grpc://a:4317",
        ] {
            assert!(matches!(bad.parse::<Endpoint>(), Err(TracesError::Endpoint)), "{bad}");
        }
    }
}
