//! One trace of a write: the spans of the API server, and below them that of the webhook.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use libtest_mimic::Trial;
use serde_json::Value;
use testkit::{
    control_plane::ControlPlane,
    loopback::Network,
    process::Process,
    profiles::Profiles,
    programs::{self, Assets},
    rendered::{items, text},
    replica::Replica,
    webhook::{NAMESPACE, Webhook, configurations},
};

use super::planes::Crd;

/// Returns `None` if the collector is not built and can be skipped.
pub(crate) fn trial(assets: &Assets) -> Option<Trial> {
    let program = programs::find("collector", "e2e: the story of traces is")?.join("collector");
    let assets = assets.clone();
    Some(Trial::test("traces::one_trace", move || {
        one_trace(&assets, &program);
        Ok(())
    }))
}

fn one_trace(assets: &Assets, program: &Path) {
    let files = tempfile::tempdir().expect("a directory can be made");
    let mut collector = Collector::start(program, files.path());
    let tracing = put(files.path(), "tracing.yaml", &as_the_page_says(&collector.grpc));
    let flag = format!("--tracing-config-file={tracing}");
    let plane = ControlPlane::start_with(assets, "traces", &[Crd::Own.object()], &[flag]);
    let webhook = Webhook::unserved(&plane, "traces");
    let replica = serve(&webhook, files.path(), &collector.http);
    for configuration in configurations() {
        webhook.register(&plane, configuration);
    }
    Profiles::new(&plane, &webhook.labels()).assert_that_both_webhooks_are_called();
    replica.stop();

    let mut spans = Vec::new();
    let mut reviews = |name: &str, route: &str| {
        let mut found = Vec::new();
        collector.process.wait_until("the API server's spans have come, too", || {
            spans = read(&collector.log);
            let ours = spans.iter().filter(|span| span.service == "clusterprofile-webhook" && span.name == route);
            found = ours.filter(|span| span.text("admission.name") == Some(name)).cloned().collect();
            !found.is_empty() && found.iter().all(|span| span.parent(&spans).is_some())
        });
        for span in &found {
            let parent = span.parent(&spans).expect("it was just there");
            assert_eq!(parent.service, "apiserver", "{parent:#?}");
            assert_eq!(parent.fields["kind"], 3, "the call of a client: {parent:#?}");
        }
        found
    };
    let [denied] = &reviews("bad", "POST /validate")[..] else { panic!("it was written once") };
    assert_eq!(denied.value("admission.allowed")["boolValue"], false);
    assert_eq!(denied.value("admission.rules")["arrayValue"]["values"][0]["stringValue"], "cluster-manager-label");
    assert_eq!(denied.value("http.response.status_code")["intValue"], "200");
    assert_eq!(denied.fields["status"]["code"], Value::Null, "a denial is no failure: {denied:#?}");
    assert_eq!(denied.fields["kind"], 2, "a server's: {denied:#?}");
    assert_eq!(denied.fields["events"][0]["name"], "body received", "{denied:#?}");
    let [filled_in] = &reviews("good", "POST /mutate")[..] else { panic!("it was written once") };
    assert_eq!(filled_in.value("admission.allowed")["boolValue"], true);
    assert_eq!(filled_in.text("admission.operation"), Some("CREATE"));

    let ours = spans.iter().filter(|span| span.service == "clusterprofile-webhook");
    for span in ours {
        let fields = span.fields.to_string();
        assert!(
            !fields.contains("system:masters") && !fields.contains("displayName"),
            "no users, no objects: {fields}"
        );
        let [start, end] =
            ["startTimeUnixNano", "endTimeUnixNano"].map(|time| span.fields[time].as_str().map(str::len));
        assert!(start == end && start == Some(19), "nanoseconds of this century: {fields}");
    }
    plane.forget();
}

/// The tracing configuration of the API server: our collector, every trace.
fn as_the_page_says(collector: &str) -> String {
    let page = fs::read_to_string("docs/traces.md").expect("the page is readable");
    let (_, block) = page.split_once("```yaml\n").expect("it has the configuration");
    let (configuration, _) = block.split_once("```").expect("a block is closed");
    let here = configuration.replace("127.0.0.1:4317", collector).replace("PerMillion: 10000", "PerMillion: 1000000");
    assert!(here.contains(collector) && here.contains("1000000"), "{here}");
    here
}

fn serve(webhook: &Webhook, directory: &Path, collector: &str) -> Replica {
    let signed = webhook.ca.server(&[&format!("{}.{NAMESPACE}.svc", webhook.name)]);
    let arguments = [
        "serve".to_owned(),
        "--log-format=json".to_owned(),
        "--drain=0s".to_owned(),
        "--admin-listen=127.0.0.1:0".to_owned(),
        format!("--listen={}", webhook.address),
        format!("--tls-cert={}", put(directory, "tls.crt", &signed.certificate)),
        format!("--tls-key={}", put(directory, "tls.key", &signed.key)),
        format!("--otlp-endpoint=http://{collector}"),
    ];
    Replica::start(&arguments, directory, None)
}

fn put(directory: &Path, name: &str, content: &str) -> String {
    let path = directory.join(name);
    fs::write(&path, content).expect("a file can be written");
    path.display().to_string()
}

/// The receiver of OpenTelemetry.
struct Collector {
    process: Process,
    grpc: String,
    http: String,
    log: PathBuf,
    _network: Network,
}

impl Collector {
    fn start(program: &Path, directory: &Path) -> Self {
        let network = Network::claim();
        let [grpc, http] = [4317, 4318].map(|port| network.at(1, port));
        let log = directory.join("collector.log");
        let mut command = Command::new(program);
        command.env_clear().args([grpc.to_string(), http.to_string()]);
        let mut process = Process::start(&mut command, &log);
        process.wait_until("the collector listens", || {
            [grpc, http].iter().all(|address| std::net::TcpStream::connect(address).is_ok())
        });
        Self { process, grpc: grpc.to_string(), http: http.to_string(), log, _network: network }
    }
}

/// A span as the collector has decoded it, with its service.
#[derive(Clone, Debug)]
struct Span {
    service: String,
    name: String,
    fields: Value,
}

impl Span {
    fn value(&self, key: &str) -> &Value {
        attribute(&self.fields, key)
    }

    fn text(&self, key: &str) -> Option<&str> {
        self.value(key)["stringValue"].as_str()
    }

    fn parent<'s>(&self, spans: &'s [Self]) -> Option<&'s Self> {
        spans.iter().find(|other| {
            other.fields["spanId"] == self.fields["parentSpanId"] && other.fields["traceId"] == self.fields["traceId"]
        })
    }
}

/// All spans that the collector has received.
fn read(log: &Path) -> Vec<Span> {
    let log = fs::read_to_string(log).expect("the collector has begun it");
    let batches = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let mut spans = Vec::new();
    for resource in batches.flat_map(|batch| items(&batch, "/resourceSpans").to_vec()) {
        let service = text(attribute(&resource["resource"], "service.name"), "/stringValue");
        for scope in items(&resource, "/scopeSpans") {
            spans.extend(items(scope, "/spans").iter().map(|span| Span {
                service: service.to_owned(),
                name: text(span, "/name").to_owned(),
                fields: span.clone(),
            }));
        }
    }
    spans
}

/// The value of an attribute, or null.
fn attribute<'v>(of: &'v Value, key: &str) -> &'v Value {
    let attributes = of["attributes"].as_array().into_iter().flatten();
    attributes
        .filter(|attribute| attribute["key"] == key)
        .map(|attribute| &attribute["value"])
        .next()
        .unwrap_or(&Value::Null)
}
