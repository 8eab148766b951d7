//! An API server that fails while the webhook manages its own certificates.

use std::{
    fs,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    process::{ChildStderr, Command},
    thread,
};

use testkit::{server::get, wait::wait_until};

use super::process::Program;

/// Starts the program with an API server that runs `answer` on each connection.
fn start(answer: fn(TcpStream), flags: &[&str]) -> (Program, BufReader<ChildStderr>) {
    let api = TcpListener::bind("127.0.0.1:0").unwrap();
    let kubeconfig = tempfile::NamedTempFile::new().unwrap();
    fs::write(&kubeconfig, config(api.local_addr().unwrap())).unwrap();
    // The thread ends with the program.
    thread::spawn(move || {
        for connection in api.incoming() {
            thread::spawn(move || answer(connection.unwrap()));
        }
    });
    let mut command = Command::new(testkit::program());
    command.env("KUBECONFIG", kubeconfig.path());
    Program::start_by(command, &[&["--service=a", "--drain=0s"], flags].concat())
}

pub(crate) fn config(api: SocketAddr) -> String {
    format!(
        "apiVersion: v1
kind: Config
clusters: [{{name: a, cluster: {{server: \"http://{api}\"}}}}]
users: [{{name: a, user: {{}}}}]
contexts: [{{name: a, context: {{cluster: a, user: a, namespace: a}}}}]
current-context: a
"
    )
}

/// The objects that the program failed to read.
fn failures(program: &Program) -> u64 {
    const READ: &str = "clusterprofile_webhook_certificate_failures_total{failure=\"read\"} ";
    let metrics = get(program.admin, "/metrics");
    metrics.lines().find_map(|line| line.strip_prefix(READ)?.parse().ok()).expect("the metric is there")
}

/// Stops the program and returns the rest of its log. It must not wait for a response when it releases the Lease.
fn end(mut program: Program, mut log: BufReader<ChildStderr>) -> String {
    program.signal("TERM");
    assert_eq!(program.ended().code(), Some(0));
    let mut lines = String::new();
    log.read_to_string(&mut lines).unwrap();
    lines
}

#[test]
fn an_api_server_that_never_responds_delays_nothing_and_is_logged_once() {
    fn hang(mut connection: TcpStream) {
        drop(connection.read_to_end(&mut Vec::new()));
    }
    let (program, log) = start(hang, &[]);
    assert!(get(program.admin, "/livez").starts_with("HTTP/1.1 200"));
    assert!(get(program.admin, "/readyz").starts_with("HTTP/1.1 503"));
    // Only by the replica, because there is no leader election.
    wait_until("it has waited in vain twice", || failures(&program) >= 2);
    let readiness = get(program.admin, "/readyz");
    assert!(readiness.ends_with("; last failure: cannot read the Secret: the API server did not respond in time\n"));
    let lines = end(program, log);
    let logged =
        lines.lines().filter(|line| line.contains("cannot read the Secret: the API server did not respond in time"));
    assert_eq!(logged.count(), 1, "{lines}");
}

#[test]
fn an_unreadable_secret_is_not_logged() {
    const KEY: &str = "LS0tLS1CRUdJTiBQUklWQVRFIEtFWS0tLS0t";
    fn answer(mut connection: TcpStream) {
        let secret = format!(r#"{{"kind":"Secret","metadata":{{"name":1}},"data":{{"ca.key":"{KEY}"}}}}"#);
        let mut lines = BufReader::new(connection.try_clone().unwrap()).lines();
        while let Some(Ok(line)) = lines.next() {
            if line.is_empty() {
                let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", secret.len());
                drop(connection.write_all(&[head.as_bytes(), secret.as_bytes()].concat()));
            }
        }
    }
    let (program, log) = start(answer, &["--log-level=debug"]);
    wait_until("it was read", || failures(&program) >= 1);
    let lines = end(program, log);
    assert!(lines.contains("cannot read the Secret") && !lines.contains(KEY), "{lines}");
}
