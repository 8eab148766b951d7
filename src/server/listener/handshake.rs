//! The TLS handshake of a connection.

use std::{io, time::Duration};

use rustls::AlertDescription;
use tokio::{
    io::{AsyncWriteExt as _, copy, sink},
    net::TcpStream,
    time::{Instant, timeout_at},
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};
use tracing::debug;

use crate::server::metrics::{HandshakeFailure, Metrics};

/// The TLS stream, or none if the handshake failed or took longer than `limit`.
pub(in crate::server) async fn shake(
    tls: &TlsAcceptor,
    stream: TcpStream,
    limit: Duration,
    metrics: &Metrics,
) -> Option<TlsStream<TcpStream>> {
    let deadline = Instant::now() + limit;
    let (error, mut stream) = match timeout_at(deadline, tls.accept(stream).into_fallible()).await {
        Ok(Ok(stream)) => return Some(stream),
        Ok(Err(failed)) => failed,
        Err(_) => {
            metrics.traffic.count_handshake(HandshakeFailure::Slow);
            debug!("TLS handshake timed out");
            return None;
        }
    };
    metrics.traffic.count_handshake(failure(&error));
    debug!(%error, "TLS handshake failed");
    // With TLS 1.3 the client may already have sent its request. Closing with unread bytes would reset the connection, and the
    // API server would then report a broken pipe instead of the TLS alert with the reason.
    let closed = async {
        drop(stream.shutdown().await);
        drop(copy(&mut stream, &mut sink()).await);
    };
    drop(timeout_at(deadline, closed).await);
    None
}

fn failure(error: &io::Error) -> HandshakeFailure {
    use rustls::Error::{AlertReceived, InvalidCertificate, NoCertificatesPresented};
    match error.get_ref().and_then(|error| error.downcast_ref()) {
        Some(AlertReceived(
            AlertDescription::BadCertificate
            | AlertDescription::CertificateExpired
            | AlertDescription::CertificateRevoked
            | AlertDescription::CertificateUnknown
            | AlertDescription::UnknownCA
            | AlertDescription::UnsupportedCertificate,
        )) => HandshakeFailure::Distrusted,
        Some(InvalidCertificate(_) | NoCertificatesPresented) => HandshakeFailure::Refused,
        _ => HandshakeFailure::Other,
    }
}
