//! A machine without IPv6, such as a node booted with `ipv6.disable=1`: no socket of that family can be made.

use std::{
    fs,
    io::{BufRead as _, BufReader},
    net::{SocketAddr, TcpStream},
    path::Path,
    process::{Child, Command, Output, Stdio},
};

use serde_json::Value;
use testkit::{program, server::get};

use super::process::json;

/// Replaces `socket` of the C library.
const SHIM: &str = r"
#define _GNU_SOURCE
#include <errno.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

int socket(int family, int type, int protocol) {
    if (family == AF_INET6) {
        errno = EAFNOSUPPORT;
        return -1;
    }
    return syscall(SYS_socket, family, type, protocol);
}
";

/// The binary on such a machine. `cc` is installed, because it links the tests.
fn serve(directory: &Path, listen: &str) -> Command {
    let (source, shim) = (directory.join("shim.c"), directory.join("shim.so"));
    fs::write(&source, SHIM).unwrap();
    let compiled = Command::new("cc").args(["-shared", "-fPIC", "-o"]).args([&shim, &source]).status();
    assert!(compiled.unwrap().success());
    let mut command = Command::new(program());
    command.args(["serve", "--log-format=json", "--dev", "--dev-ca"]).arg(directory.join("ca.crt"));
    command.args([&format!("--listen={listen}"), "--admin-listen=[::]:0"]);
    command.env_clear().env("LD_PRELOAD", shim).stdin(Stdio::null());
    command
}

/// A process that is killed when this is dropped.
struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        self.0.kill().and_then(|()| self.0.wait()).unwrap();
    }
}

#[test]
fn both_listeners_use_ipv4_on_a_machine_without_ipv6() {
    let directory = tempfile::tempdir().unwrap();
    let mut program = Killed(serve(directory.path(), "[::]:0").stderr(Stdio::piped()).spawn().unwrap());
    let mut lines = BufReader::new(program.0.stderr.take().unwrap()).lines().map(|line| json(&line.unwrap()));
    for flag in ["--listen", "--admin-listen"] {
        let line = lines.find(|line| line["flag"] == flag).expect("it logs what it listens on instead");
        assert_eq!(line["message"], "IPv6 is unavailable; listening on IPv4 only");
        assert_eq!((&line["level"], &line["used"]), (&Value::from("INFO"), &Value::from("0.0.0.0:0")));
    }
    let listening = lines.find(|line| line["message"] == "listening").expect("it listens");
    let address = |field: &str| {
        let address: SocketAddr = listening[field].as_str().unwrap().parse().unwrap();
        assert!(address.ip().is_unspecified() && address.is_ipv4(), "{address}");
        SocketAddr::from(([127, 0, 0, 1], address.port()))
    };
    TcpStream::connect(address("address")).expect("the webhook's listener takes connections");
    assert!(get(address("admin_address"), "/livez").starts_with("HTTP/1.1 200 "));
}

#[test]
fn an_ipv6_address_that_is_named_stays_an_error() {
    let directory = tempfile::tempdir().unwrap();
    let Output { status, stderr, .. } = serve(directory.path(), "[::1]:0").output().unwrap();
    let text = String::from_utf8(stderr).unwrap();
    assert_eq!(status.code(), Some(1), "{text}");
    assert!(text.contains("cannot listen on [::1]:0 (--listen): Address family not supported by protocol"), "{text}");
}
