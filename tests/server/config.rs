//! The configuration file: it applies from the start and after each change.

use std::{fs, net::TcpStream, os::unix::fs::symlink, path::PathBuf, process::Command};

use clusterprofile_webhook::config::{KEYS, schema};
use serde_json::{Value, json};
use testkit::{client::Client, server::value_of, wait::wait_until};

use super::{
    REVIEW,
    process::{Program, lines, messages},
};

/// A directory in which kubelet keeps a `ConfigMap` with one file.
struct Volume {
    directory: tempfile::TempDir,
    versions: usize,
}

impl Volume {
    fn new(content: &str) -> Self {
        let mut volume = Self { directory: tempfile::tempdir().unwrap(), versions: 0 };
        volume.put(content);
        symlink("..data/config.yaml", volume.file()).unwrap();
        volume
    }

    /// Makes a new directory, renames the link to it, and removes the old one.
    fn put(&mut self, content: &str) {
        let path = |name: &str| self.directory.path().join(name);
        self.versions += 1;
        let version = path(&format!("..{}", self.versions));
        fs::create_dir(&version).unwrap();
        fs::write(version.join("config.yaml"), content).unwrap();
        symlink(&version, path("..data_tmp")).unwrap();
        fs::rename(path("..data_tmp"), path("..data")).unwrap();
        let _ = fs::remove_dir_all(path(&format!("..{}", self.versions - 1)));
    }

    fn file(&self) -> PathBuf {
        self.directory.path().join("config.yaml")
    }

    fn flag(&self) -> String {
        format!("--config={}", self.file().display())
    }
}

fn count(program: &Program, series: &str) -> u64 {
    value_of(program.admin, series)
}

fn reloads(program: &Program, result: &str) -> u64 {
    count(program, &format!("config_reloads_total{{result=\"{result}\"}}"))
}

/// The response to a profile without the name of a cluster manager.
fn answer(client: &mut Client, path: &str, namespace: &str) -> Value {
    let mut review: Value = serde_json::from_slice(REVIEW).unwrap();
    review["request"]["namespace"] = json!(namespace);
    review["request"]["object"]["metadata"]["namespace"] = json!(namespace);
    let answer = client.post(path, &serde_json::to_vec(&review).unwrap()).expect("the review is answered");
    assert_eq!(answer.status, 200);
    serde_json::from_slice::<Value>(&answer.body).unwrap()["response"].clone()
}

#[test]
fn effects_change_while_serving_and_a_broken_file_changes_nothing() {
    let mut volume = Volume::new("");
    let (mut program, mut log) = Program::start(&[&volume.flag(), "--drain=0s"]);
    let mut client = program.connect();
    assert_eq!(answer(&mut client, "/validate", "default")["allowed"], false);

    volume.put("audit: true\n");
    wait_until("the refusal becomes a warning", || answer(&mut client, "/validate", "default")["allowed"] == true);
    wait_until("that is counted", || reloads(&program, "success") == 1);
    for (failures, broken) in (1..).zip(["audti: false\neffects:\n  name-prefx: off\n", "audit: [", "audit: 1"]) {
        volume.put(broken);
        wait_until("the broken file is seen", || reloads(&program, "failure") == failures);
        assert_eq!(answer(&mut client, "/validate", "default")["allowed"], true, "the last good one holds");
        assert_eq!(count(&program, "file_unusable{file=\"config\"}"), 1);
    }
    fs::remove_file(volume.file()).unwrap();
    wait_until("the missing file is seen", || reloads(&program, "failure") == 4);
    assert_eq!(answer(&mut client, "/validate", "default")["allowed"], true, "the last good one holds");
    symlink("..data/config.yaml", volume.file()).unwrap();

    volume.put("audit: false\n");
    wait_until("it is refused again", || answer(&mut client, "/validate", "default")["allowed"] == false);
    wait_until("that is counted", || reloads(&program, "success") == 2);
    assert_eq!(count(&program, "file_unusable{file=\"config\"}"), 0);

    program.signal("TERM");
    let logged: Vec<_> =
        lines(&mut log).into_iter().filter(|line| line["message"].to_string().contains("configuration")).collect();
    let good = |changes: &str| (json!("configuration file reloaded"), json!(changes));
    let logged_good: Vec<_> =
        logged.iter().filter_map(|line| Some((line["message"].clone(), line.get("changes")?.clone()))).collect();
    assert_eq!(logged_good, [good("audit: unset -> true"), good("audit: true -> false")]);
    let errors: Vec<_> = logged.iter().filter_map(|line| line.get("error")?.as_str()).collect();
    let file = volume.file();
    let first = format!(
        "{0}: line 1, column 1: there is no key \"audti\"; did you mean \"audit\"?; \
         {0}: line 3, column 3: there is no rule \"name-prefx\"; did you mean \"name-prefix\"?",
        file.display()
    );
    assert!(errors.len() >= 4 && errors.contains(&first.as_str()), "{errors:#?}");
    assert_eq!(program.ended().code(), Some(0));
}

#[test]
fn nothing_is_reviewed_or_filled_in_in_exempt_namespaces_and_this_is_counted() {
    let mut volume = Volume::new("exemptNamespaces: [scratch]\n");
    let (mut program, mut log) = Program::start(&[&volume.flag(), "--drain=0s"]);
    let mut client = program.connect();
    for path in ["/mutate", "/validate"] {
        let answer = answer(&mut client, path, "scratch");
        assert_eq!((&answer["allowed"], answer.get("patch"), answer.get("warnings")), (&json!(true), None, None));
        assert_eq!(answer["auditAnnotations"], json!({"exempt-namespace": "scratch"}));
    }
    for namespace in ["scratch-2", "", "Scratch", "default"] {
        assert_eq!(answer(&mut client, "/validate", namespace)["allowed"], false, "{namespace}");
    }
    for phase in ["mutate", "validate"] {
        assert_eq!(count(&program, &format!("exempt_reviews_total{{phase=\"{phase}\"}}")), 1);
    }
    volume.put("exemptNamespaces: [default]\n");
    wait_until("another is exempt", || answer(&mut client, "/validate", "default")["allowed"] == true);
    assert_eq!(answer(&mut client, "/validate", "scratch")["allowed"], false);

    program.signal("TERM");
    let lines = lines(&mut log);
    let exempt = |line: &&Value| line.get("exempt") == Some(&json!(true));
    let namespaces: Vec<_> = lines.iter().filter(exempt).map(|line| line["namespace"].as_str().unwrap()).collect();
    assert_eq!(namespaces, ["scratch", "scratch", "default"]);
    assert_eq!(program.ended().code(), Some(0));
}

#[test]
fn limits_change_while_serving() {
    let size = |body: usize| format!("limits:\n  maxBody: {body}\n  maxInFlight: 1MiB\n");
    let mut volume = Volume::new(&size(REVIEW.len()));
    let (program, _log) = Program::start(&[&volume.flag(), "--drain=0s"]);
    let mut larger = REVIEW.to_vec();
    larger.push(b' ');
    let mut client = program.connect();
    assert_eq!(client.post("/validate", REVIEW).unwrap().status, 200);
    assert_eq!(client.post("/validate", &larger).unwrap().status, 413);
    volume.put(&size(larger.len()));
    wait_until("larger bodies are taken", || program.connect().post("/validate", &larger).unwrap().status == 200);
    let limit = |name: &str| count(&program, name);
    assert_eq!(limit("in_flight_limit_bytes"), (1 << 19), "half is shared out, or nearly");

    let silent: Vec<_> = (0..10).map(|_| TcpStream::connect(program.address).unwrap()).collect();
    wait_until("they are accepted", || limit("open_connections") >= 10);
    volume.put("limits: {maxConnections: 2, maxInFlight: 2MiB}\n");
    wait_until("the limit is read", || limit("open_connections_limit") == 2);
    assert_eq!(limit("in_flight_limit_bytes"), 1 << 20);
    assert_eq!(program.review().status, 200);
    wait_until("the others have made room", || limit("open_connections") <= 2);
    drop(silent);
    volume.put("");
    wait_until("the defaults hold again", || limit("open_connections_limit") > 2);
    assert_eq!(limit("in_flight_limit_bytes"), 32 << 20);
}

/// A body keeps the limits under which it began. No body waits forever for memory that a new limit has removed.
#[test]
fn a_body_keeps_the_limits_under_which_it_began() {
    let mut volume = Volume::new("limits: {maxInFlight: 256KiB, maxConnections: 64}\n");
    let (program, _log) = Program::start(&[&volume.flag(), "--drain=0s"]);
    let mut body = REVIEW.to_vec();
    body.resize(100_000, b' ');
    let mut slow = program.connect();
    slow.send(super::head("/validate?timeout=30s", body.len()).as_bytes()).unwrap();
    slow.send(&body[..50_000]).unwrap();
    wait_until("it has taken room", || count(&program, "in_flight_bytes") > 0);
    volume.put("limits: {maxBody: 10KiB, maxInFlight: 1KiB, maxConnections: 64}\n");
    wait_until("the limit is read", || count(&program, "in_flight_limit_bytes") == 512);
    assert_eq!(program.connect().post("/validate", &body).unwrap().status, 413);
    assert_eq!(program.review().status, 200, "what is larger than all room has all of it");
    slow.send(&body[50_000..]).unwrap();
    assert_eq!(slow.response().unwrap().status, 200);
}

#[test]
fn flags_and_variables_win_over_the_file() {
    let volume = Volume::new("audit: true\neffects: {name-prefix: deny}\nlimits: {maxConnections: 3}\n");
    let mut command = Command::new(testkit::program());
    command.env("CLUSTERPROFILE_WEBHOOK_CONFIG", volume.file()).env("CLUSTERPROFILE_WEBHOOK_MAX_CONNECTIONS", "7");
    let (program, mut log) = Program::start_by(command, &["--audit=false", "--effect=name-prefix=warn", "--drain=0s"]);
    assert_eq!(answer(&mut program.connect(), "/validate", "default")["allowed"], false);
    assert_eq!(count(&program, "open_connections_limit"), 7);
    program.signal("TERM");
    drop(messages(&mut log));

    let (_, printed) = run(&["--config", volume.file().to_str().unwrap(), "--tls-cert=missing", "--tls-key=missing"]);
    assert_eq!(printed, "error: missing: cannot read file: No such file or directory\n", "the file is good");
}

#[test]
fn an_unusable_file_ends_the_start() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("config.yaml");
    let path = file.to_str().unwrap();
    let start = || run(&["--config", path, "--dev", "--dev-ca=/dev/null"]);
    assert_eq!(start(), (Some(2), format!("error: {path}: cannot read file: No such file or directory\n")));
    fs::write(&file, "audti: true\nexemptNamespaces: [kube-*]\n").unwrap();
    let (code, printed) = start();
    assert_eq!((code, printed.lines().count()), (Some(2), 2), "{printed}");
    let first = format!("error: {path}: line 1, column 1: there is no key \"audti\"; did you mean \"audit\"?\n");
    assert!(printed.starts_with(&first), "{printed}");
    fs::write(&file, vec![b' '; 5 << 20]).unwrap();
    assert_eq!(start(), (Some(2), format!("error: {path}: cannot read file: larger than 4 MiB\n")));
}

/// Runs `serve`, which must exit.
fn run(arguments: &[&str]) -> (Option<i32>, String) {
    let mut command = Command::new(testkit::program());
    command.args(["serve", "--listen=127.0.0.1:0", "--admin-listen=127.0.0.1:0", "--log-level=off"]).args(arguments);
    let output = command.output().expect("the binary was built");
    (output.status.code(), String::from_utf8(output.stderr).unwrap())
}

#[test]
fn the_help_has_the_defaults_of_the_file() {
    let help = Command::new(testkit::program()).args(["serve", "--help"]).output().expect("the binary was built");
    let help = String::from_utf8(help.stdout).unwrap().split_whitespace().collect::<Vec<_>>().join(" ");
    for key in KEYS.iter().filter(|key| key.path.starts_with("limits.")) {
        assert!(help.contains(&format!("By default {} [env:", key.default())), "{}: {help}", key.path);
    }
}

#[test]
fn the_schema_is_printed() {
    let output = Command::new(testkit::program()).arg("config-schema").output().expect("the binary was built");
    let printed: Value = serde_json::from_slice(&output.stdout).expect("it is JSON");
    assert_eq!(printed, schema());
}
