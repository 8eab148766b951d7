//! The binary: log, exit codes, signals.

use std::{
    fs::OpenOptions,
    io::{BufRead as _, BufReader, Read as _},
    net::{SocketAddr, TcpListener, TcpStream},
    process::{Child, ChildStderr, Command, ExitStatus, Stdio},
};

use serde_json::Value;
use testkit::{
    client::{Client, Response},
    server::get,
    wait::wait_until,
};

use super::REVIEW;

/// The log until the program exits.
pub(crate) fn lines(log: &mut BufReader<ChildStderr>) -> Vec<Value> {
    log.lines().map(|line| json(&line.unwrap())).collect()
}

/// The messages of the log until the program exits.
pub(crate) fn messages(log: &mut BufReader<ChildStderr>) -> Vec<String> {
    lines(log).iter().map(|line| line["message"].as_str().unwrap().to_owned()).collect()
}

/// The binary as a child process. It has a development certificate unless the arguments name others, and is killed when
/// this is dropped.
pub(crate) struct Program {
    child: Child,
    pub address: SocketAddr,
    pub admin: SocketAddr,
    ca: tempfile::NamedTempFile,
}

impl Program {
    /// Starts the program. Returns it with its log after the line `listening`.
    pub(crate) fn start(arguments: &[&str]) -> (Self, BufReader<ChildStderr>) {
        Self::start_by(Command::new(testkit::program()), arguments)
    }

    /// As [`Program::start`], with a command that executes the binary.
    pub(crate) fn start_by(command: Command, arguments: &[&str]) -> (Self, BufReader<ChildStderr>) {
        let free: SocketAddr = ([127, 0, 0, 1], 0).into();
        let mut program = Self::spawn(command, [free; 2], arguments, Stdio::piped());
        let mut log = BufReader::new(program.child.stderr.take().unwrap());
        let listening =
            log.by_ref().lines().map(|line| json(&line.unwrap())).find(|line| line["message"] == "listening");
        let listening = listening.expect("it says where it listens");
        program.address = listening["address"].as_str().unwrap().parse().unwrap();
        program.admin = listening["admin_address"].as_str().unwrap().parse().unwrap();
        (program, log)
    }

    fn spawn(mut command: Command, [address, admin]: [SocketAddr; 2], arguments: &[&str], log: Stdio) -> Self {
        let ca = tempfile::NamedTempFile::new().unwrap();
        command.args(["serve", "--log-format=json"]);
        if !arguments.iter().any(|argument| argument.starts_with("--service") || argument.starts_with("--tls-")) {
            command.args(["--dev", "--dev-ca"]).arg(ca.path());
        }
        let child = command
            .args([format!("--listen={address}"), format!("--admin-listen={admin}")])
            .args(arguments)
            .stdin(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        Self { child, address, admin, ca }
    }

    pub(crate) fn connect(&self) -> Client {
        Client::connect(self.address, &std::fs::read(self.ca.path()).unwrap()).expect("the server takes connections")
    }

    pub(crate) fn review(&self) -> Response {
        self.connect().post("/validate", REVIEW).expect("the review is answered")
    }

    fn dropped_lines(&self) -> u64 {
        let metrics = get(self.admin, "/metrics");
        let count =
            metrics.lines().find_map(|line| line.strip_prefix("clusterprofile_webhook_dropped_log_lines_total "));
        count.expect("the metric is there").parse().unwrap()
    }

    pub(crate) fn signal(&self, name: &str) {
        let sent = Command::new("kill").args(["-s", name, &self.child.id().to_string()]).status();
        assert!(sent.unwrap().success());
    }

    fn limit_files(&self, most: usize) {
        let arguments = [format!("--pid={}", self.child.id()), format!("--nofile={most}")];
        assert!(Command::new("prlimit").args(arguments).status().unwrap().success());
    }

    pub(crate) fn ended(&mut self) -> ExitStatus {
        let mut status = None;
        wait_until("the program ends", || {
            status = self.child.try_wait().unwrap();
            status.is_some()
        });
        status.unwrap()
    }
}

pub(crate) fn json(line: &str) -> Value {
    serde_json::from_str(line).expect(line)
}

impl Drop for Program {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

#[test]
fn a_log_without_a_reader_ends_no_review_and_no_drain() {
    let (mut program, log) = Program::start(&["--drain=1s"]);
    drop(log);
    for _ in 0..3 {
        assert_eq!(program.review().status, 200);
    }
    wait_until("the lines are counted", || program.dropped_lines() >= 3);
    program.signal("TERM");
    wait_until("it drains", || get(program.admin, "/readyz").starts_with("HTTP/1.1 503"));
    assert_eq!(program.review().status, 200);
    assert_eq!(program.ended().code(), Some(0));
}

#[test]
fn a_log_on_a_full_disk_does_not_stop_the_server() {
    // It does not log where it listens.
    let free = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
    let addresses = free.each_ref().map(|listener| listener.local_addr().unwrap());
    drop(free);
    let full = OpenOptions::new().write(true).open("/dev/full").unwrap();
    let mut program = Program::spawn(Command::new(testkit::program()), addresses, &["--drain=0s"], full.into());
    wait_until("it serves", || {
        assert_eq!(program.child.try_wait().unwrap(), None, "it goes on");
        TcpStream::connect(program.admin).is_ok()
    });
    assert!(get(program.admin, "/livez").starts_with("HTTP/1.1 200"), "it is past its start");
    assert_eq!(program.review().status, 200);
    wait_until("the lines are counted", || program.dropped_lines() >= 2);
    program.signal("TERM");
    assert_eq!(program.ended().code(), Some(0));
}

#[test]
fn a_log_that_is_not_read_delays_nothing_and_continues_when_it_is() {
    let (mut program, mut log) = Program::start(&["--drain=0s"]);
    let mut review: Value = serde_json::from_slice(REVIEW).unwrap();
    for field in ["uid", "namespace", "name"] {
        review["request"][field] = "x".repeat(253).into();
    }
    let review = serde_json::to_vec(&review).unwrap();
    let mut client = program.connect();
    wait_until("the log is full", || {
        for _ in 0..100 {
            assert_eq!(client.post("/mutate", &review).unwrap().status, 200);
        }
        program.dropped_lines() > 0
    });
    assert!(get(program.admin, "/livez").starts_with("HTTP/1.1 200"));
    program.signal("TERM");
    let messages = messages(&mut log);
    assert!(messages.len() > 100);
    assert_eq!(messages.last().unwrap(), "stopped", "what was logged last is written");
    assert_eq!(program.ended().code(), Some(0));
}

#[test]
fn an_error_without_a_reader_still_has_its_exit_code() {
    let full = OpenOptions::new().write(true).open("/dev/full").unwrap();
    let status = Command::new(testkit::program())
        .args(["check", "missing.yaml"])
        .stdout(Stdio::null())
        .stderr(full)
        .status()
        .unwrap();
    assert_eq!(status.code(), Some(2));
}

#[test]
fn too_few_file_descriptors_at_the_start_lower_the_connection_limit() {
    let mut limited = Command::new("sh");
    limited.args(["-c", "ulimit -n 64; exec \"$0\" \"$@\""]).arg(testkit::program());
    let (mut program, mut log) = Program::start_by(limited, &["--drain=0s"]);
    let silent: Vec<_> = (0..100).map(|_| TcpStream::connect(program.address).unwrap()).collect();
    assert_eq!(program.review().status, 200);
    assert!(get(program.admin, "/readyz").starts_with("HTTP/1.1 200"));
    drop(silent);
    program.signal("TERM");
    assert!(!messages(&mut log).iter().any(|message| message == "cannot accept connections"));
    assert_eq!(program.ended().code(), Some(0));
}

#[test]
fn too_few_file_descriptors_are_logged_once_and_cause_evictions() {
    let (mut program, mut log) = Program::start(&["--drain=0s"]);
    let silent = |count| (0..count).map(|_| TcpStream::connect(program.address).unwrap()).collect::<Vec<_>>();
    let first = silent(20);
    wait_until("they are accepted", || {
        get(program.admin, "/metrics").lines().any(|line| line == "clusterprofile_webhook_open_connections 20")
    });
    program.limit_files(20);
    let more = silent(100);
    assert_eq!(program.review().status, 200);
    drop((first, more));
    program.signal("TERM");
    let failures = messages(&mut log).iter().filter(|message| *message == "cannot accept connections").count();
    assert!((1..=2).contains(&failures), "once for each listener at the most, not {failures} times");
    assert_eq!(program.ended().code(), Some(0));
}
