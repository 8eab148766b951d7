//! The Pods: everything in them that the API server does not check.

use std::{collections::BTreeSet, fs, net::TcpStream, path::Path, process::Command};

use clusterprofile_webhook::{
    config::{KEYS, Settings},
    profile::GROUP,
};
use serde_json::{Value, json};
use testkit::{
    ca::Ca,
    rendered::{at, items, only, text, volume},
    replica::{Replica, arguments, container},
    server::get,
};

use super::Manifests;

/// The value of an argument of the container.
pub(crate) fn flag<'o>(container: &'o Value, name: &str) -> &'o str {
    let arguments = items(container, "/args").iter().filter_map(|argument| argument.as_str()?.split_once('='));
    let mut values = arguments.filter(|(flag, _)| *flag == name).map(|(_, value)| value);
    values.next().unwrap_or_else(|| panic!("{name} is not in the arguments of {container:#}"))
}

/// The number of a port of the container.
pub(crate) fn port_number(container: &Value, name: &str) -> u16 {
    let port = items(container, "/ports").iter().find(|port| port["name"] == name);
    let number = port.and_then(|port| port["containerPort"].as_u64()?.try_into().ok());
    number.unwrap_or_else(|| panic!("no port {name} in {container:#}"))
}

/// The image in the manifests is that of `Containerfile`, which uses the toolchain of the repository.
pub(crate) fn run_the_image_as_it_is_made(manifests: &Manifests) {
    let containerfile = fs::read_to_string("Containerfile").expect("it is readable");
    let said = |instruction: &str| {
        let lines = containerfile.lines().filter_map(|line| line.strip_prefix(instruction));
        lines.map(|line| line.trim().to_owned()).collect::<Vec<_>>()
    };
    let deployment = only(&manifests.base, "Deployment");
    let [user] = &said("USER ")[..] else { panic!("one user: {containerfile}") };
    let ids: Vec<u32> = user.split(':').map(|id| id.parse().expect("kubelet compares numbers")).collect();
    assert!(ids.len() == 2 && !ids.contains(&0), "{user}");
    assert_eq!(at(deployment, "/spec/template/spec/securityContext/runAsNonRoot"), true);
    let ports = ["webhook", "admin"].map(|name| port_number(container(deployment), name).to_string());
    assert_eq!(said("EXPOSE "), [ports.join(" ")]);
    assert_eq!(said("ENTRYPOINT "), [r#"["/clusterprofile-webhook"]"#]);
    assert_eq!(container(deployment).get("command"), None, "the entry point is the image's");

    let toolchain = fs::read_to_string("rust-toolchain.toml").expect("it is readable");
    let (_, channel) = toolchain.split_once("channel = \"").expect("it names a channel");
    let (channel, _) = channel.split_once('"').expect("a string is closed");
    assert_eq!(said("ENV RUSTUP_TOOLCHAIN="), [channel]);
    let [build, image] = &said("FROM ")[..] else { panic!("two stages: {containerfile}") };
    assert!(build.contains(&format!("/rust:{channel}-")), "{build}");
    assert_eq!(image, "scratch");
}

/// Runs with a certificate pair. Without one, the binary needs an API server: `e2e/managed.rs`.
pub(crate) fn run_what_the_binary_accepts(manifests: &Manifests) {
    let deployment = only(&manifests.certificate_pair, "Deployment");
    let directory = tempfile::tempdir().expect("a directory can be made");
    let pair = Ca::new("manifests").server(&["localhost"]);
    for (name, content) in [("tls.crt", pair.certificate), ("tls.key", pair.key)] {
        fs::write(directory.path().join(name), content).expect("a file can be written");
    }
    let arguments = arguments(deployment, directory.path(), ([127, 0, 0, 1], 0).into());
    let replica = Replica::start(&arguments, directory.path(), None);
    TcpStream::connect(replica.address).expect("the server takes connections");
    for (probe, path) in [("readinessProbe", "/readyz"), ("livenessProbe", "/livez")] {
        assert_eq!(text(container(deployment), &format!("/{probe}/httpGet/path")), path);
        assert!(get(replica.admin, path).starts_with("HTTP/1.1 200 "), "{path}");
    }
    let image = concat!("clusterprofile-webhook:", env!("CARGO_PKG_VERSION"));
    assert_eq!(text(container(deployment), "/image"), image, "the binary that accepts them is of this version");
}

pub(crate) fn are_reached_only_at_their_ports(manifests: &Manifests) {
    let container = container(only(&manifests.base, "Deployment"));
    let port_of = |name| flag(container, name).rsplit_once(':').and_then(|(_, port)| port.parse::<u16>().ok());
    for probe in ["readinessProbe", "livenessProbe"] {
        let port = text(container, &format!("/{probe}/httpGet/port"));
        assert_eq!(Some(port_number(container, port)), port_of("--admin-listen"), "{probe}");
    }
    let policy = at(only(&manifests.base, "NetworkPolicy"), "/spec");
    let [rule] = items(policy, "/ingress") else { panic!("one rule: {policy:#}") };
    let ports = |ports: &[Value], number: &str| -> BTreeSet<_> {
        let port = |port: &Value| {
            let protocol = port["protocol"].as_str().unwrap_or("TCP").to_owned();
            (at(port, number).as_u64().expect("a port is a number"), protocol)
        };
        ports.iter().map(port).collect()
    };
    assert_eq!(ports(items(rule, "/ports"), "/port"), ports(items(container, "/ports"), "/containerPort"));
    assert_eq!(rule.get("from"), None, "the API server and the kubelet have no labels");
    // The Service of the API server, and its port in clusters made with kubeadm.
    let [rule] = items(policy, "/egress") else { panic!("one rule: {policy:#}") };
    assert_eq!(ports(items(rule, "/ports"), "/port"), [443, 6443].map(|port| (port, "TCP".to_owned())).into());
    assert!(items(policy, "/policyTypes").contains(&json!("Egress")), "else everything may go out");
    let with_a_pair = at(only(&manifests.certificate_pair, "NetworkPolicy"), "/spec");
    assert_eq!(with_a_pair, policy);
}

pub(crate) fn see_renewed_certificates(manifests: &Manifests) {
    let deployment = only(&manifests.certificate_pair, "Deployment");
    let (_, path) = mounted(deployment, "secret");
    // The keys of a Secret with the type kubernetes.io/tls.
    for (name, file) in [("--tls-cert", "tls.crt"), ("--tls-key", "tls.key")] {
        assert_eq!(Path::new(flag(container(deployment), name)), Path::new(path).join(file));
    }
}

pub(crate) fn see_a_changed_configuration(manifests: &Manifests) {
    for objects in [&manifests.base, &manifests.certificate_pair, &manifests.cert_manager] {
        let (deployment, map) = (only(objects, "Deployment"), only(objects, "ConfigMap"));
        let (volume, path) = mounted(deployment, "configMap");
        assert_eq!(text(volume, "/configMap/name"), text(map, "/metadata/name"));
        assert_eq!(Path::new(flag(container(deployment), "--config")), Path::new(path).join("config.yaml"));
        let settings = Settings::parse(text(map, "/data/config.yaml").as_bytes());
        assert_eq!(settings, Ok(Settings::default()), "it changes nothing by itself");
    }
    let configured = text(only(&manifests.configured, "ConfigMap"), "/data/config.yaml");
    assert_eq!(manifests.configured.len(), manifests.base.len(), "it takes the place of the base's");
    let whole = Settings::parse(configured.as_bytes()).expect("the example is good");
    assert_all_keys(&whole);
    // A commented example has no space after the number sign.
    let examples = |line: &str| match line.split_once('#') {
        Some((indent, example)) if !example.starts_with(' ') => format!("{indent}{example}\n"),
        _ => format!("{line}\n"),
    };
    let file = fs::read_to_string("manifests/base/config.yaml").expect("it is readable");
    let settings = Settings::parse(file.lines().map(examples).collect::<String>().as_bytes());
    assert_all_keys(&settings.expect("its examples are good"));
}

fn assert_all_keys(settings: &Settings) {
    let said = Settings::default().changes(settings);
    for key in KEYS {
        assert!(said.iter().any(|line| line.starts_with(key.path)), "{}: {said:#?}", key.path);
    }
}

/// The only volume of this kind, and its mount path.
///
/// Kubelet updates a mounted directory, but never a file that is mounted by itself.
fn mounted<'o>(deployment: &'o Value, kind: &str) -> (&'o Value, &'o str) {
    let volume = volume(deployment, kind);
    let mount = items(container(deployment), "/volumeMounts").iter().find(|mount| mount["name"] == volume["name"]);
    let mount = mount.expect("it is mounted");
    assert_eq!(mount.get("subPath"), None);
    (volume, text(mount, "/mountPath"))
}

pub(crate) fn exit_after_their_last_response(manifests: &Manifests) {
    /// In seconds: the maximum timeout of a webhook.
    const LONGEST_CALL: u64 = 30;
    let deployment = only(&manifests.base, "Deployment");
    let drain = flag(container(deployment), "--drain");
    let drain: u64 = drain.strip_suffix('s').and_then(|seconds| seconds.parse().ok()).expect("it is in seconds");
    let grace = at(deployment, "/spec/template/spec/terminationGracePeriodSeconds").as_u64().expect("it is a number");
    assert!(grace >= drain + LONGEST_CALL, "{grace} s are over before {drain} s of drain and a call");
    assert_eq!(container(deployment).get("lifecycle"), None, "a hook's time would be taken from these");
}

/// In addition to the Pod Security Standard `restricted`, which the API server enforces.
pub(crate) fn are_confined(manifests: &Manifests) {
    let deployment = only(&manifests.base, "Deployment");
    let account = only(&manifests.base, "ServiceAccount");
    assert_eq!(text(deployment, "/spec/template/spec/serviceAccountName"), text(account, "/metadata/name"));
    // The variables of a Service with this name have the same prefix as those of flags.
    assert_eq!(at(deployment, "/spec/template/spec/enableServiceLinks"), false);
    assert_eq!(at(container(deployment), "/securityContext/readOnlyRootFilesystem"), true);
    let limits = at(container(deployment), "/resources/limits").as_object().expect("limits are a map");
    assert_eq!(limits.keys().collect::<Vec<_>>(), ["memory"], "a server without its time on the CPU is late");
}

/// `OpenShift` assigns a user from the range of the namespace, and refuses Pods that name another.
pub(crate) fn run_as_any_user(manifests: &Manifests) {
    let deployment = only(&manifests.base, "Deployment");
    for context in
        [at(deployment, "/spec/template/spec/securityContext"), at(container(deployment), "/securityContext")]
    {
        for id in ["runAsUser", "runAsGroup", "fsGroup"] {
            assert_eq!(context.get(id), None, "the image or the platform sets {id}");
        }
    }
    // By default, mounted files are readable for all users.
    for objects in [&manifests.base, &manifests.certificate_pair] {
        let volumes = at(only(objects, "Deployment"), "/spec/template/spec/volumes").to_string();
        assert!(!volumes.contains("defaultMode") && !volumes.contains("\"mode\""), "{volumes}");
    }
    let containerfile = fs::read_to_string("Containerfile").expect("it is readable");
    assert!(containerfile.contains("install -D --mode=0555 "), "all users can execute the binary");
}

/// All rights of the service account: verb, resource, name of the object.
fn granted(objects: &[Value]) -> BTreeSet<String> {
    let account = at(only(objects, "ServiceAccount"), "/metadata");
    let mut granted = BTreeSet::new();
    for role in objects.iter().filter(|object| text(object, "/kind").ends_with("Role")) {
        let binding = objects.iter().find(|object| {
            object["kind"] == format!("{}Binding", text(role, "/kind"))
                && object["roleRef"]["name"] == role["metadata"]["name"]
        });
        let Some(binding) = binding else {
            assert_eq!(text(role, "/metadata/name"), FOR_PEOPLE, "each other role is bound");
            continue;
        };
        assert_eq!(binding["metadata"]["namespace"], role["metadata"]["namespace"]);
        assert_eq!(binding["roleRef"]["kind"], role["kind"]);
        let subject = json!({"kind": "ServiceAccount", "name": account["name"], "namespace": account["namespace"]});
        assert_eq!(at(binding, "/subjects"), &json!([subject]));
        for rule in items(role, "/rules") {
            for (resource, verb) in items(rule, "/resources")
                .iter()
                .flat_map(|resource| items(rule, "/verbs").iter().map(move |verb| (resource, verb)))
            {
                let name = rule["resourceNames"][0].as_str().unwrap_or("any");
                let (resource, verb) =
                    (resource.as_str().expect("it is a string"), verb.as_str().expect("it is a string"));
                granted.insert(format!("{verb} {resource} {name}"));
            }
        }
    }
    granted
}

const FOR_PEOPLE: &str = "clusterprofile-break-glass";

/// With external certificates, only permission checks and following the CRD.
pub(crate) fn have_only_the_rights_for_break_glass_and_the_crd(manifests: &Manifests) {
    let mut base = manifests.base.clone();
    base.retain(|object| ["-break-glass", "-crd"].iter().any(|end| text(object, "/metadata/name").ends_with(end)));
    assert_eq!(base.len(), 5);
    for overlay in [&manifests.certificate_pair, &manifests.cert_manager] {
        assert_eq!(granted(overlay), BTreeSet::from([ASK, READ, FOLLOW].map(String::from)));
        assert!(base.iter().all(|object| overlay.contains(object)));
        assert_eq!(at(only(overlay, "Deployment"), "/spec/template/spec/automountServiceAccountToken"), true);
    }
    let role = base.iter().find(|object| object["metadata"]["name"] == FOR_PEOPLE).expect("it is for people");
    let granted = json!({"apiGroups": [GROUP], "resources": ["clusterprofiles"], "verbs": ["break-glass"]});
    assert_eq!(role["rules"], json!([granted]));
    let labels = at(role, "/metadata/labels").as_object().expect("labels are a map");
    assert!(!labels.keys().any(|label| label.contains("aggregate-to")), "{labels:?}");
}

const ASK: &str = "create subjectaccessreviews any";
const READ: &str = "get customresourcedefinitions clusterprofiles.multicluster.x-k8s.io";
const FOLLOW: &str = "watch customresourcedefinitions clusterprofiles.multicluster.x-k8s.io";

/// Every named object exists, and the account has no rights to others.
pub(crate) fn have_only_the_rights_for_certificates_break_glass_and_the_crd(manifests: &Manifests) {
    let account = at(only(&manifests.base, "ServiceAccount"), "/metadata");
    let default = |flag: &str| {
        let help = Command::new(testkit::program()).args(["serve", "--help"]).env_clear().output();
        let help = String::from_utf8(help.expect("the binary was built").stdout).expect("help is text");
        let words: Vec<_> = help.split_whitespace().collect();
        let (_, rest) = words
            .join(" ")
            .split_once(&format!("{flag} <NAME>"))
            .map(|(a, b)| (a.to_owned(), b.to_owned()))
            .expect("it has the flag");
        rest.split_once("[default: ").and_then(|(_, rest)| rest.split_once(']')).expect("it has a default").0.to_owned()
    };
    let (secret, lease, configuration) = (default("--secret"), default("--lease"), default("--configuration"));
    assert_eq!(text(only(&manifests.base, "Secret"), "/metadata/name"), secret);
    assert_eq!(text(only(&manifests.base, "Lease"), "/metadata/name"), lease);
    let created = ["clusterprofiles", "events", "leases", "secrets"].map(|kind| format!("create {kind} any"));
    let mut expected: BTreeSet<_> = created.into_iter().chain([ASK, READ, FOLLOW].map(String::from)).collect();
    expected.extend(["get", "watch", "update"].map(|verb| format!("{verb} secrets {secret}")));
    expected.extend(["get", "update"].map(|verb| format!("{verb} leases {lease}")));
    for kind in ["MutatingWebhookConfiguration", "ValidatingWebhookConfiguration"] {
        assert_eq!(text(only(&manifests.base, kind), "/metadata/name"), configuration);
        expected
            .extend(["get", "watch", "patch"].map(|verb| format!("{verb} {}s {configuration}", kind.to_lowercase())));
    }
    assert_eq!(granted(&manifests.base), expected);
    let user = format!("system:serviceaccount:{}:{}", text(account, "/namespace"), text(account, "/name"));
    let condition = text(only(&manifests.base, "ValidatingAdmissionPolicy"), "/spec/matchConditions/0/expression");
    assert_eq!(condition, format!("request.userInfo.username == \"{user}\""));
}

pub(crate) fn never_stop_all_at_once(manifests: &Manifests) {
    let deployment = at(only(&manifests.base, "Deployment"), "/spec");
    assert_eq!(at(deployment, "/strategy/rollingUpdate"), &json!({"maxSurge": 1, "maxUnavailable": 0}));
    let ready = at(deployment, "/minReadySeconds").as_u64().expect("it is a number");
    let [container] = items(deployment, "/template/spec/containers") else { panic!("one container") };
    let period = at(container, "/readinessProbe/periodSeconds").as_u64().expect("it is a number");
    assert!(ready >= 2 * period, "a Pod is probed once more before another goes");
    let budget = at(only(&manifests.base, "PodDisruptionBudget"), "/spec");
    let evicted = at(budget, "/maxUnavailable").as_u64().expect("it is a number");
    assert!((1..at(deployment, "/replicas").as_u64().expect("it is a number")).contains(&evicted));
    assert_eq!(budget.get("minAvailable"), None, "with one replica, no node could be drained");
    for spread in items(deployment, "/template/spec/topologySpreadConstraints") {
        assert_eq!(text(spread, "/whenUnsatisfiable"), "ScheduleAnyway", "there are hubs of one node");
    }
}
