//! Break-glass without a working API server: the write stays denied, in time, and everything else is served.

use std::{
    fs,
    io::{BufRead as _, Read as _},
    net::{TcpListener, TcpStream},
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use serde_json::{Value, json};
use testkit::{server::value_of, wait::wait_until};

use super::{cluster::config, process::Program};

/// The binary with `kubeconfig` as its only credentials.
fn command(kubeconfig: &str) -> Command {
    let mut command = Command::new(testkit::program());
    command.env_remove("KUBERNETES_SERVICE_HOST").env("HOME", "/nonexistent").env("KUBECONFIG", kubeconfig);
    command
}

/// A write that a rule denies and that claims break-glass.
fn claim(name: &str) -> Vec<u8> {
    let profile = json!({
        "apiVersion": "multicluster.x-k8s.io/v1alpha1",
        "kind": "ClusterProfile",
        "metadata": {
            "name": name,
            "labels": {"x-k8s.io/cluster-manager": "kueue"},
            "annotations": {"clusterprofile-webhook.internal/break-glass": "create"},
        },
        "spec": {"displayName": "a", "clusterManager": {"name": "ocm"}},
    });
    let review = json!({
        "apiVersion": "admission.k8s.io/v1",
        "kind": "AdmissionReview",
        "request": {
            "uid": "1",
            "kind": {"group": "multicluster.x-k8s.io", "version": "v1alpha1", "kind": "ClusterProfile"},
            "operation": "CREATE",
            "namespace": "fleet-system",
            "name": name,
            "userInfo": {"username": "alice"},
            "object": profile,
        },
    });
    review.to_string().into_bytes()
}

/// Sends the claim, and returns what the response says about it.
fn answer_to_claim(program: &Program, name: &str) -> String {
    let answer = program.connect().post("/validate?timeout=1s", &claim(name)).unwrap();
    let body: Value = serde_json::from_slice(&answer.body).unwrap();
    assert_eq!((answer.status, &body["response"]["allowed"]), (200, &json!(false)));
    body["response"]["status"]["details"]["causes"][1]["message"].as_str().unwrap().to_owned()
}

fn unchecked(program: &Program) -> u64 {
    value_of(program.admin, "break_glass_claims_total{outcome=\"unchecked\"}")
}

#[test]
fn without_a_way_to_the_api_server_everything_else_is_served() {
    let (mut program, log) = Program::start_by(command("/nonexistent/kubeconfig"), &["--drain=0s", "--break-glass"]);
    assert!(answer_to_claim(&program, "a").contains("could not check"));
    assert_eq!(unchecked(&program), 1);
    program.signal("TERM");
    let lines: Vec<_> = log.lines().map(Result::unwrap).collect();
    assert!(lines.iter().any(|line| line.contains(r#""break_glass":"unchecked""#)), "{lines:#?}");
    assert_eq!(program.ended().code(), Some(0));
}

#[test]
fn an_api_server_that_never_responds_gets_few_checks_and_delays_no_other_review() {
    /// The maximum of concurrent permission checks.
    const MOST: usize = 16;
    /// More claims than the queue holds.
    const CLAIMS: usize = MOST + 64 + MOST;
    let api = TcpListener::bind("127.0.0.1:0").unwrap();
    let kubeconfig = tempfile::NamedTempFile::new().unwrap();
    fs::write(&kubeconfig, config(api.local_addr().unwrap())).unwrap();
    // The current number, and the maximum.
    let asked = Arc::new([const { AtomicUsize::new(0) }; 2]);
    let count = Arc::clone(&asked);
    // The thread ends with the program.
    thread::spawn(move || {
        for connection in api.incoming() {
            let now = count[0].fetch_add(1, Ordering::Relaxed) + 1;
            count[1].fetch_max(now, Ordering::Relaxed);
            let mut connection: TcpStream = connection.unwrap();
            let count = Arc::clone(&count);
            thread::spawn(move || {
                drop(connection.read_to_end(&mut Vec::new()));
                count[0].fetch_sub(1, Ordering::Relaxed);
            });
        }
    });
    let (mut program, mut log) =
        Program::start_by(command(kubeconfig.path().to_str().unwrap()), &["--drain=0s", "--break-glass"]);

    // Each claim gets a response, or its client gives up and the test fails. The API server never responds.
    thread::scope(|scope| {
        for number in 0..CLAIMS {
            let program = &program;
            scope.spawn(move || assert!(answer_to_claim(program, &number.to_string()).contains("could not check")));
        }
        wait_until("they are asked about", || asked[1].load(Ordering::Relaxed) > 0);
        let good = String::from_utf8(claim("good")).unwrap().replace("kueue", "ocm");
        let answer = program.connect().post("/validate", good.as_bytes()).unwrap();
        assert!(answer.text().contains(r#""allowed":true"#), "{}", answer.text());
    });
    // A canceled check may be seen to end after the next one has begun.
    assert!(asked[1].load(Ordering::Relaxed) <= 2 * MOST, "{asked:?}");
    assert_eq!(unchecked(&program), CLAIMS as u64);

    program.signal("TERM");
    let mut lines = String::new();
    log.read_to_string(&mut lines).unwrap();
    for cause in
        ["the API server did not respond to the permission check in time", "too many permission checks are waiting"]
    {
        assert_eq!(lines.lines().filter(|line| line.contains(cause)).count(), 1, "{lines}");
    }
    assert!(!lines.contains("alice"), "{lines}");
    assert_eq!(program.ended().code(), Some(0));
}
