//! A real Prometheus server, and promtool.

use std::{
    env,
    fmt::Write as _,
    fs,
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::{Value, json};

use crate::{process::Process, programs::are_required};

/// Finds a program of Debian's package `prometheus` in `PATH`. Returns `None` if it is not installed.
///
/// # Panics
///
/// Panics if it is missing and tests must not be skipped.
pub fn program(name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let found = env::split_paths(&path).map(|directory| directory.join(name)).find(|program| program.is_file());
    assert!(found.is_some() || !are_required(), "{name} is missing: apt-get install prometheus");
    found
}

/// The content of a rule file of Prometheus with the rules of a `PrometheusRule`, after `change` was applied to each.
pub fn rules(rule: &Value, change: impl Fn(&mut Value)) -> String {
    let mut groups = rule["spec"]["groups"].clone();
    for group in groups.as_array_mut().expect("there are groups") {
        group["rules"].as_array_mut().expect("a group has rules").iter_mut().for_each(&change);
    }
    json!({"groups": groups}).to_string()
}

/// A server that scrapes and evaluates rules four times a second. It ends when this is dropped.
pub struct Prometheus {
    process: Process,
    address: SocketAddr,
}

impl Prometheus {
    /// Starts the server at a free `address` with scrape jobs and the content of a rule file, and waits until it is
    /// ready.
    pub fn start(address: SocketAddr, directory: &Path, jobs: &Value, rules: &str) -> Self {
        fs::create_dir_all(directory).expect("a directory can be made");
        let file = |name: &str, content: &str| {
            let path = directory.join(name);
            fs::write(&path, content).expect("a file can be written");
            path
        };
        let rules = file("rules.yaml", rules);
        // JSON is YAML.
        let config = json!({
            "global": {"scrape_interval": "250ms", "scrape_timeout": "250ms", "evaluation_interval": "250ms"},
            "rule_files": [rules],
            "scrape_configs": jobs,
        });
        let mut command = Command::new(program("prometheus").expect("the caller has checked that it is installed"));
        command.env_clear().arg("--config.file").arg(file("prometheus.yaml", &config.to_string()));
        command.arg("--storage.tsdb.path").arg(directory.join("data"));
        command.arg(format!("--web.listen-address={address}"));
        let mut process = Process::start(&mut command, &directory.join("prometheus.log"));
        process.wait_until("Prometheus is ready", || {
            TcpStream::connect(address).is_ok() && ask(address, "/-/ready").starts_with("HTTP/1.0 200")
        });
        Self { process, address }
    }

    /// Waits until `condition` holds. Panics with the end of the log if the server exits first.
    pub fn wait_until(&mut self, what: &str, mut condition: impl FnMut(SocketAddr) -> bool) {
        let address = self.address;
        self.process.wait_until(what, || condition(address));
    }

    /// Evaluates a query now. Its result must be a vector.
    pub fn query(&self, query: &str) -> Vec<Value> {
        query_at(self.address, query)
    }

    /// The labels of all series that match a selector, also of those that have ended.
    pub fn series(&self, selector: &str) -> Vec<Value> {
        list(&call(self.address, &format!("/api/v1/series?match[]={}", encoded(selector))))
    }
}

/// Evaluates a query at the server of this address. Its result must be a vector.
pub fn query_at(address: SocketAddr, query: &str) -> Vec<Value> {
    let data = call(address, &format!("/api/v1/query?query={}", encoded(query)));
    assert_eq!(data["resultType"], "vector", "{query}");
    list(&data["result"])
}

/// The alerts that are firing.
pub fn firing(address: SocketAddr) -> Vec<Value> {
    let mut alerts = list(&call(address, "/api/v1/alerts")["alerts"]);
    alerts.retain(|alert| alert["state"] == "firing");
    alerts
}

fn list(value: &Value) -> Vec<Value> {
    value.as_array().cloned().unwrap_or_else(|| panic!("no list: {value}"))
}

fn call(address: SocketAddr, path: &str) -> Value {
    let answer = ask(address, path);
    let (_, body) = answer.split_once("\r\n\r\n").expect("an answer has a head");
    let mut body: Value = serde_json::from_str(body).unwrap_or_else(|error| panic!("{path}: {error}: {answer}"));
    assert_eq!((&body["status"], body.get("warnings")), (&json!("success"), None), "{path}: {body}");
    body["data"].take()
}

/// Sends a GET request with HTTP/1.0, which has no chunked responses.
fn ask(address: SocketAddr, path: &str) -> String {
    let mut stream = TcpStream::connect(address).expect("Prometheus accepts connections");
    write!(stream, "GET {path} HTTP/1.0\r\n\r\n").expect("it reads");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("the answer is text");
    answer
}

fn encoded(text: &str) -> String {
    text.bytes().fold(String::new(), |mut encoded, byte| {
        write!(encoded, "%{byte:02X}").expect("a string takes all that is written to it");
        encoded
    })
}
