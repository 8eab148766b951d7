//! The chart, rendered by Helm: it equals the kustomizations, and each value changes only what it says.

use std::{env, fs, process::Command};

use serde_json::{Value, json};
use tempfile::TempDir;
use testkit::{
    ca::Ca,
    helm::Helm,
    rendered::{documents, kustomized, only},
    replica::container,
};

use super::Manifests;

/// The chart, and Helm with its own home.
pub(crate) struct Chart {
    helm: Helm,
    home: TempDir,
}

/// The values of `certificates.mode`, each with the kustomization that does the same.
pub(super) const MODES: [(&str, &str); 3] = [
    ("self-managed", "manifests/base"),
    ("cert-manager", "manifests/overlays/cert-manager"),
    ("certificate-pair", "manifests/overlays/certificate-pair"),
];

pub(super) const NAMESPACE: &str = "clusterprofile-webhook";

impl Chart {
    /// Returns `None` if Helm is missing and can be skipped.
    pub(crate) fn find() -> Option<Self> {
        Some(Self { helm: Helm::find()?, home: tempfile::tempdir().expect("a directory can be made") })
    }

    /// Renders the objects for a namespace and arguments.
    pub(super) fn rendered(&self, namespace: &str, arguments: &[&str]) -> Vec<Value> {
        let rendered =
            self.run(&[&["template", "any", "manifests/chart", "--namespace", namespace], arguments].concat());
        documents(rendered.unwrap_or_else(|errors| panic!("{arguments:?}: {errors}")).as_bytes())
    }

    /// The output of Helm, or its errors.
    pub(super) fn run(&self, arguments: &[&str]) -> Result<String, String> {
        let output = self.helm.command(self.home.path()).args(arguments).output().expect("helm can be run");
        let [printed, errors] = [output.stdout, output.stderr].map(|text| String::from_utf8(text).expect("it is text"));
        if output.status.success() && errors.is_empty() { Ok(printed) } else { Err(errors) }
    }
}

impl Manifests {
    pub(super) fn chart(&self) -> &Chart {
        self.chart.as_ref().expect("without Helm, its tests are skipped")
    }
}

/// Helm never makes the namespace of a release from its chart: it keeps the release there.
pub(super) fn without_namespace(objects: &[Value]) -> Vec<Value> {
    objects.iter().filter(|object| object["kind"] != "Namespace").cloned().collect()
}

/// `UPDATE=1` writes it, which is what `make generate` does.
pub(crate) fn has_what_is_rendered(manifests: &Manifests) {
    for (mode, directory) in MODES {
        let rendered = kustomized(Command::new(manifests.assets.program("kubectl")), directory);
        let objects: Vec<_> = rendered
            .split("\n---\n")
            .filter(|object| !object.contains("\nkind: Namespace\n"))
            .map(str::trim_end)
            .collect();
        let fresh = objects.join("\n---\n") + "\n";
        let file = format!("manifests/chart/files/{mode}.yaml");
        if env::var_os("UPDATE").is_some() {
            fs::write(&file, fresh).expect("the chart can be written");
        } else {
            assert!(fs::read_to_string(&file).is_ok_and(|stored| stored == fresh), "{file}: run `make generate`");
        }
    }
}

pub(crate) fn renders_what_kustomize_does(manifests: &Manifests) {
    let chart = manifests.chart();
    let kustomized = [&manifests.base, &manifests.cert_manager, &manifests.certificate_pair];
    for ((mode, directory), kustomized) in MODES.into_iter().zip(kustomized) {
        let rendered = chart.rendered(NAMESPACE, &["--set", &format!("certificates.mode={mode}")]);
        assert_same(&rendered, &without_namespace(kustomized), directory);
    }
    assert_same(&chart.rendered(NAMESPACE, &[]), &without_namespace(&manifests.base), "what is the default");
}

/// Compares objects in any order.
pub(super) fn assert_same(rendered: &[Value], expected: &[Value], what: &str) {
    let name = |object: &Value| {
        let of = |pointer| object.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
        [of("/kind"), of("/metadata/namespace"), of("/metadata/name")]
    };
    let [mut rendered, mut expected] = [rendered, expected].map(<[Value]>::to_vec);
    for objects in [&mut rendered, &mut expected] {
        objects.sort_by_key(name);
    }
    assert_eq!(rendered.iter().map(name).collect::<Vec<_>>(), expected.iter().map(name).collect::<Vec<_>>(), "{what}");
    for (rendered, expected) in rendered.iter().zip(&expected) {
        assert_eq!(rendered, expected, "{what}");
    }
}

/// `e2e/chart.rs` installs it there.
pub(crate) fn is_installed_into_any_namespace(manifests: &Manifests) {
    let chart = manifests.chart();
    let kustomized = [&manifests.base, &manifests.cert_manager, &manifests.certificate_pair];
    for ((mode, directory), kustomized) in MODES.into_iter().zip(kustomized) {
        let rendered = chart.rendered("elsewhere", &["--set", &format!("certificates.mode={mode}")]);
        let mut expected = without_namespace(kustomized);
        expected.iter_mut().for_each(move_elsewhere);
        assert_same(&rendered, &expected, directory);
        // In YAML these are not strings.
        for namespace in ["2026", "1e3", "on", "null"] {
            let rendered = chart.rendered(namespace, &["--set", &format!("certificates.mode={mode}")]);
            let deployment = only(&rendered, "Deployment");
            assert_eq!(deployment["metadata"]["namespace"], namespace);
        }
    }
}

fn move_elsewhere(value: &mut Value) {
    /// The namespace within other texts.
    const FORMS: [[&str; 2]; 3] = [
        ["system:serviceaccount:clusterprofile-webhook:", "system:serviceaccount:elsewhere:"],
        ["clusterprofile-webhook.clusterprofile-webhook.svc", "clusterprofile-webhook.elsewhere.svc"],
        ["clusterprofile-webhook/clusterprofile-webhook-ca", "elsewhere/clusterprofile-webhook-ca"],
    ];
    match value {
        Value::Object(fields) => {
            if let Some(namespace) = fields.get_mut("namespace").filter(|namespace| **namespace == NAMESPACE) {
                *namespace = json!("elsewhere");
            }
            fields.values_mut().for_each(move_elsewhere);
        }
        Value::Array(items) => items.iter_mut().for_each(move_elsewhere),
        Value::String(text) => *text = FORMS.iter().fold(text.clone(), |text, [here, there]| text.replace(here, there)),
        _ => {}
    }
}

pub(crate) fn values_change_only_what_they_say(manifests: &Manifests) {
    let chart = manifests.chart();
    let digest = format!("sha256:{}", "0".repeat(64));
    let mut arguments = container(only(&manifests.base, "Deployment"))["args"].clone();
    arguments.as_array_mut().expect("it is a list").extend([json!("--audit"), json!("--effect=name-prefix=warn")]);
    let ports = json!([{"protocol": "TCP", "port": 8443}]);
    let mut rules = only(&manifests.base, "NetworkPolicy")["spec"]["egress"].clone();
    rules.as_array_mut().expect("it is a list").push(json!({"ports": [{"port": 4318}]}));
    // POD is the Deployment's /spec/template/spec, and C the container in it.
    let changes = [
        ("replicas=3", "Deployment", "/spec/replicas", json!(3)),
        ("image.repository=a.io/b", "Deployment", "C/image", json!(concat!("a.io/b:", env!("CARGO_PKG_VERSION")))),
        ("image.tag=1.2.3-rc.1", "Deployment", "C/image", json!("clusterprofile-webhook:1.2.3-rc.1")),
        (&format!("image.digest={digest}"), "Deployment", "C/image", json!(format!("clusterprofile-webhook@{digest}"))),
        ("image.pullPolicy=Always", "Deployment", "C/imagePullPolicy", json!("Always")),
        ("image.pullSecrets[0].name=a", "Deployment", "POD/imagePullSecrets", json!([{"name": "a"}])),
        ("flags={--audit,--effect=name-prefix=warn}", "Deployment", "C/args", arguments),
        ("config.effects.name-prefix=warn", "ConfigMap", "/data/config.yaml", json!("effects:\n  name-prefix: warn\n")),
        ("resources.limits.memory=1Gi", "Deployment", "C/resources/limits/memory", json!("1Gi")),
        ("podSecurityContext.runAsUser=1000", "Deployment", "POD/securityContext/runAsUser", json!(1000)),
        ("nodeSelector.a=b", "Deployment", "POD/nodeSelector", json!({"a": "b", "kubernetes.io/os": "linux"})),
        ("tolerations[0].operator=Exists", "Deployment", "POD/tolerations", json!([{"operator": "Exists"}])),
        ("affinity.nodeAffinity.a=b", "Deployment", "POD/affinity", json!({"nodeAffinity": {"a": "b"}})),
        ("priorityClassName=high", "Deployment", "POD/priorityClassName", json!("high")),
        ("failurePolicy=Fail", "ValidatingWebhookConfiguration", "/webhooks/0/failurePolicy", json!("Fail")),
        ("networkPolicy.apiServerPorts={8443}", "NetworkPolicy", "/spec/egress/0/ports", ports),
        ("networkPolicy.egress[0].ports[0].port=4318", "NetworkPolicy", "/spec/egress", rules),
        // Helm sets it if this chart is a dependency of another chart.
        ("global.a=b", "Deployment", "/spec/replicas", json!(2)),
    ];
    for (change, kind, pointer, value) in changes {
        let pointer = pointer.replace("C/", "POD/containers/0/").replace("POD", "/spec/template/spec");
        let expected = with(without_namespace(&manifests.base), kind, &pointer, value);
        assert_same(&chart.rendered(NAMESPACE, &["--set", change]), &expected, change);
    }
}

/// The objects with other values at these pointers of their kinds. Null removes a field.
pub(super) fn with(mut objects: Vec<Value>, kind: &str, pointer: &str, value: Value) -> Vec<Value> {
    let (parent, field) = pointer.rsplit_once('/').expect("it is a pointer");
    let object = objects.iter_mut().find(|object| object["kind"] == kind).expect("there is one");
    let parent = object.pointer_mut(parent).and_then(Value::as_object_mut).expect("there is something to change");
    if value.is_null() {
        parent.remove(field);
    } else {
        parent.insert(field.to_owned(), value);
    }
    objects
}

/// The message says what is wrong, and never repeats the content of a file.
pub(crate) fn wrong_values_are_rejected(manifests: &Manifests) {
    let chart = manifests.chart();
    let pair = Ca::new("chart");
    let [authority, key] = [("ca.crt", &pair.certificate), ("ca.key", &pair.key())].map(|(name, content)| {
        let path = chart.home.path().join(name);
        fs::write(&path, content).expect("a file can be written");
        format!("certificates.authority={}", path.display())
    });
    let set = "--set";
    let wrong: [(&[&str], &str); 14] = [
        (&[set, "replica=3"], "additional properties 'replica' not allowed"),
        (&[set, "image.tags=1"], "at '/image': additional properties 'tags' not allowed"),
        (&[set, "replicas=0"], "at '/replicas': minimum: got 0, want 1"),
        (&[set, "image.tag=12"], "at '/image/tag': got number, want string"),
        (&[set, "image.repository="], "at '/image/repository': '' does not match pattern"),
        (&[set, "certificates.mode=cert"], "value must be one of 'self-managed', 'cert-manager', 'certificate-pair'"),
        (&[set, "certificates.mode=null"], "at '/certificates': missing property 'mode'"),
        // The API server treats these as Fail.
        (&[set, "failurePolicy=null"], "at '': missing property 'failurePolicy'"),
        (&[set, "config.audits=true"], "at '/config': additional properties 'audits' not allowed"),
        (&[set, "flags={audit}"], "at '/flags/0': 'audit' does not match pattern"),
        (&[set, "flags={--drain=1s}"], "flags: --drain=1s is set by the chart (--drain=15s); remove it"),
        (&["--set-file", &authority], "certificates.authority requires certificates.mode=certificate-pair"),
        (&[set, "certificates.mode=certificate-pair", "--set-file", &key], "must be CA certificates in PEM, without"),
        (&["--kube-version", "1.29.4"], "chart requires kubeVersion: >=1.30.0-0"),
    ];
    for (arguments, message) in wrong {
        let output = chart.run(&[&["template", "any", "manifests/chart"], arguments].concat());
        let errors = output.expect_err("a value is wrong");
        assert!(errors.contains(message) && !errors.contains("-----BEGIN"), "{arguments:?}: {errors}");
    }
}

/// The default image has this version.
pub(crate) fn is_of_this_version(manifests: &Manifests) {
    let chart = manifests.chart();
    let shown = chart.run(&["show", "chart", "manifests/chart"]).expect("there is a chart");
    for name in ["version", "appVersion"] {
        let line = format!("{name}: {}", env!("CARGO_PKG_VERSION"));
        assert!(shown.lines().any(|shown| shown == line), "{line} is not in\n{shown}");
    }
}
