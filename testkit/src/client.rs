//! A small HTTPS client with one persistent connection.

use std::{
    io::{self, BufRead as _, BufReader, Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    sync::Arc,
    time::Duration,
};

use rustls::{
    ClientConfig, ClientConnection, RootCertStore, StreamOwned,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, ServerName, pem::PemObject as _},
    version::{TLS12, TLS13},
};

/// A connection to the webhook. A response that takes more than a minute is an error.
pub struct Client(pub BufReader<StreamOwned<ClientConnection, TcpStream>>);

/// An HTTP response.
#[derive(Debug)]
pub struct Response {
    pub status: u16,
    /// The status line and the headers, in lower case.
    pub head: Vec<String>,
    pub body: Vec<u8>,
}

impl Response {
    /// Whether the server closes the connection after this response.
    pub fn closes(&self) -> bool {
        self.head.iter().any(|line| line == "connection: close")
    }

    /// The body, which must be UTF-8.
    pub fn text(&self) -> String {
        String::from_utf8(self.body.clone()).expect("answers are text")
    }
}

/// A TLS configuration that trusts the certificates in `ca` (PEM) and offers these TLS versions.
pub fn tls(ca: &[u8], versions: &[&'static rustls::SupportedProtocolVersion]) -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(ca) {
        roots.add(certificate.expect("the CA is PEM")).expect("the CA is a certificate");
    }
    let config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_protocol_versions(versions)
        .expect("the provider knows both versions");
    Arc::new(config.with_root_certificates(roots).with_no_client_auth())
}

impl Client {
    /// Connects to `address` with a server name of `localhost`, and trusts the certificates in `ca` (PEM).
    pub fn connect(address: SocketAddr, ca: &[u8]) -> io::Result<Self> {
        Self::connect_with(address, tls(ca, &[&TLS13, &TLS12]))
    }

    /// As [`Client::connect`], with a TLS configuration.
    pub fn connect_with(address: SocketAddr, config: Arc<ClientConfig>) -> io::Result<Self> {
        Self::over(TcpStream::connect(address)?, config)
    }

    /// As [`Client::connect_with`], over an existing TCP connection.
    pub fn over(stream: TcpStream, config: Arc<ClientConfig>) -> io::Result<Self> {
        stream.set_nodelay(true)?;
        // A server that never responds must fail the test, not block it.
        stream.set_read_timeout(Some(Duration::from_mins(1)))?;
        let name = ServerName::try_from("localhost").expect("localhost is a name");
        let mut connection = ClientConnection::new(config, name).map_err(io::Error::other)?;
        let mut stream = stream;
        connection.complete_io(&mut stream)?;
        Ok(Self(BufReader::new(StreamOwned::new(connection, stream))))
    }

    /// Posts `body` as JSON and reads the response.
    pub fn post(&mut self, path: &str, body: &[u8]) -> io::Result<Response> {
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        self.send(head.as_bytes())?;
        // A server that rejects a body early may close before all of it is written. Its response still counts.
        let _ = self.send(body);
        self.response()
    }

    /// Writes raw bytes.
    pub fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.0.get_mut().write_all(bytes)?;
        self.0.get_mut().flush()
    }

    /// Reads one response. Without `Content-Length`, its body is empty.
    pub fn response(&mut self) -> io::Result<Response> {
        let mut head = Vec::new();
        loop {
            let mut line = String::new();
            if self.0.read_line(&mut line)? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            let line = line.trim_end().to_ascii_lowercase();
            if line.is_empty() {
                break;
            }
            head.push(line);
        }
        let status = head.first().and_then(|line| line.split(' ').nth(1)?.parse().ok()).unwrap_or_default();
        let length =
            head.iter().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok()).unwrap_or_default();
        let mut body = vec![0; length];
        self.0.read_exact(&mut body)?;
        Ok(Response { status, head, body })
    }

    /// Whether the server closes the connection before it sends another byte. Blocks until one of the two happens.
    pub fn is_closed(&mut self) -> bool {
        let mut byte = [0];
        !matches!(self.0.read(&mut byte), Ok(1..))
    }
}
