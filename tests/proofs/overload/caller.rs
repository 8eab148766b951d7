//! Clients of the webhook that are not an API server.
//!
//! All of them share one thread, so that the server and the API server have most of a machine of two cores.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, SocketAddr},
};

use rustls::pki_types::ServerName;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _, split},
    net::{TcpSocket, TcpStream},
};
use tokio_rustls::{TlsConnector, client::TlsStream};

/// The name by which they call it.
pub(crate) const NAME: &str = "localhost";

/// Where the webhook is, and how TLS is spoken with it.
#[derive(Clone)]
pub(crate) struct Caller {
    address: SocketAddr,
    tls: TlsConnector,
    from: IpAddr,
    /// Bytes that the kernel takes of an answer that is not read, where it is other than usual.
    receives: Option<u32>,
}

/// What came back, as text: head and body.
pub(crate) struct Response(String);

impl Caller {
    pub(crate) fn new(address: SocketAddr, tls: TlsConnector) -> Self {
        /// As a Pod's, it is not the API server's.
        const OWN: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2));
        Self { address, tls, from: OWN, receives: None }
    }

    /// The same from another address.
    pub(crate) fn from(&self, from: IpAddr) -> Self {
        Self { from, ..self.clone() }
    }

    /// The same, whose kernel takes so many bytes of an answer that is not read.
    pub(crate) fn receiving(&self, bytes: u32) -> Self {
        Self { receives: Some(bytes), ..self.clone() }
    }

    pub(crate) async fn connect(&self) -> io::Result<TlsStream<TcpStream>> {
        let stream = self.open().await?;
        stream.set_nodelay(true)?;
        let name = ServerName::try_from(NAME).expect("it is one");
        self.tls.connect(name, stream).await
    }

    /// A connection without TLS.
    pub(crate) async fn open(&self) -> io::Result<TcpStream> {
        let socket = TcpSocket::new_v4()?;
        socket.set_reuseaddr(true)?;
        if let Some(bytes) = self.receives {
            socket.set_recv_buffer_size(bytes)?;
        }
        socket.bind(SocketAddr::new(self.from, 0))?;
        socket.connect(self.address).await
    }

    /// A call on a connection of its own. As to an API server, the answer may come before all is sent.
    pub(crate) async fn call(&self, request: &[u8]) -> io::Result<Response> {
        let (mut from_server, mut to_server) = split(self.connect().await?);
        let send = async {
            // A server that responds early stops reading.
            drop(to_server.write_all(request).await);
            drop(to_server.flush().await);
            std::future::pending().await
        };
        let answer = async {
            let mut answer = Vec::new();
            // The server closes a connection with unread data, as requested. This arrives as an error after the
            // response.
            let ended = loop {
                match from_server.read_buf(&mut answer).await {
                    Ok(1..) => {}
                    Ok(0) => break io::ErrorKind::UnexpectedEof.into(),
                    Err(error) => break error,
                }
            };
            if answer.is_empty() { Err(ended) } else { Ok(Response(String::from_utf8_lossy(&answer).into_owned())) }
        };
        tokio::select! {
            biased;
            answer = answer => answer,
            never = send => never,
        }
    }
}

/// A review for `/validate`, after whose answer the connection ends.
pub(crate) fn request(body: &[u8]) -> Vec<u8> {
    request_within("10s", body)
}

/// The same, whose caller waits so long.
pub(crate) fn request_within(timeout: &str, body: &[u8]) -> Vec<u8> {
    [head_within(timeout, body.len()).as_bytes(), body].concat()
}

/// A review for this path, after whose answer the connection stays.
pub(crate) fn lasting(path: &str, body: &[u8]) -> Vec<u8> {
    let head = format!("POST {path} HTTP/1.1\r\nHost: {NAME}\r\nContent-Length: {}\r\n\r\n", body.len());
    [head.as_bytes(), body].concat()
}

/// Announces a body of so many bytes.
pub(crate) fn head(length: usize) -> String {
    head_within("10s", length)
}

fn head_within(timeout: &str, length: usize) -> String {
    format!(
        "POST /validate?timeout={timeout} HTTP/1.1\r\nHost: {NAME}\r\nConnection: close\r\n\
         Content-Length: {length}\r\n\r\n"
    )
}

impl Response {
    pub(crate) fn is_reviewed(&self) -> bool {
        self.0.starts_with("HTTP/1.1 200 ")
    }

    /// Whether it is a 503 that says when to try again, and why with these words.
    pub(crate) fn is_shed(&self, why: &str) -> bool {
        self.0.starts_with("HTTP/1.1 503 ") && self.0.contains("\r\nretry-after: 1\r\n") && self.0.contains(why)
    }

    pub(crate) fn text(&self) -> &str {
        &self.0
    }
}
