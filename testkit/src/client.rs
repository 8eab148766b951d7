//! A small HTTPS client: one connection, kept between requests.

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

/// A connection to the webhook.
pub(crate) struct Client(pub(crate) BufReader<StreamOwned<ClientConnection, TcpStream>>);

/// What came back.
#[derive(Debug)]
pub(crate) struct Answer {
    pub status: u16,
    /// Lines of the head, in lower case.
    pub head: Vec<String>,
    pub body: Vec<u8>,
}

impl Answer {
    pub(crate) fn closes(&self) -> bool {
        self.head.iter().any(|line| line == "connection: close")
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.body.clone()).expect("answers are text")
    }
}

/// Trusts `ca`, PEM; offers the given TLS versions.
pub(crate) fn tls(ca: &[u8], versions: &[&'static rustls::SupportedProtocolVersion]) -> Arc<ClientConfig> {
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
    pub(crate) fn connect(address: SocketAddr, ca: &[u8]) -> io::Result<Self> {
        Self::connect_with(address, tls(ca, &[&TLS13, &TLS12]))
    }

    pub(crate) fn connect_with(address: SocketAddr, config: Arc<ClientConfig>) -> io::Result<Self> {
        Self::over(TcpStream::connect(address)?, config)
    }

    /// Speaks TLS over a connection that is there.
    pub(crate) fn over(stream: TcpStream, config: Arc<ClientConfig>) -> io::Result<Self> {
        stream.set_nodelay(true)?;
        // A server that never answers must fail the test, not hang it.
        stream.set_read_timeout(Some(Duration::from_mins(1)))?;
        let name = ServerName::try_from("localhost").expect("localhost is a name");
        let mut connection = ClientConnection::new(config, name).map_err(io::Error::other)?;
        let mut stream = stream;
        connection.complete_io(&mut stream)?;
        Ok(Self(BufReader::new(StreamOwned::new(connection, stream))))
    }

    pub(crate) fn post(&mut self, path: &str, body: &[u8]) -> io::Result<Answer> {
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        self.send(head.as_bytes())?;
        // A server that refuses a body early may close before all of it is written; its answer still counts.
        let _ = self.send(body);
        self.answer()
    }

    pub(crate) fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.0.get_mut().write_all(bytes)?;
        self.0.get_mut().flush()
    }

    pub(crate) fn answer(&mut self) -> io::Result<Answer> {
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
        Ok(Answer { status, head, body })
    }

    /// Whether the server ends the connection without another byte; blocks until it says something.
    pub(crate) fn is_closed(&mut self) -> bool {
        let mut byte = [0];
        !matches!(self.0.read(&mut byte), Ok(1..))
    }
}
