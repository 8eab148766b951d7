//! A real etcd and a real API server, on loopback.

use std::{
    fs,
    net::SocketAddrV4,
    path::{Path, PathBuf},
    process::Command,
    sync::atomic::{AtomicU8, AtomicUsize, Ordering},
};

use serde_json::{Value, json};

use super::{
    api::{Api, put_in_etcd},
    assets::Assets,
    authority::Authority,
    loopback::{Network, PORTS},
    process::Process,
    wait::wait_until,
};

/// A control plane without controllers, nodes or proxies: what writes ClusterProfiles meets, and nothing else.
///
/// Fields are dropped in this order: an API server that has lost its etcd lingers.
pub(crate) struct ControlPlane {
    pub api: Api,
    _server: Process,
    _etcd: Process,
    assets: Assets,
    directory: PathBuf,
    network: Network,
    hosts: AtomicU8,
    namespaces: AtomicUsize,
    stored: AtomicUsize,
}

impl ControlPlane {
    /// Starts both, and waits until `crds` are served.
    ///
    /// `name` is that of the directory for certificates, data and logs, which stays until [`ControlPlane::forget`].
    pub(crate) fn start(assets: &Assets, name: &str, crds: &[Value]) -> Self {
        Self::start_with(assets, name, crds, &[])
    }

    /// The same, with more flags for the API server.
    pub(crate) fn start_with(assets: &Assets, name: &str, crds: &[Value], flags: &[String]) -> Self {
        let network = Network::claim();
        let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("target/tmp/{name}-{}", std::process::id()));
        fs::create_dir_all(&directory).expect("a directory can be made");
        let etcd = start_etcd(assets, &network, &directory);
        let (server, api) = start_api_server(assets, &network, &directory, flags);
        let plane = Self {
            api,
            _server: server,
            _etcd: etcd,
            assets: assets.clone(),
            directory,
            network,
            hosts: AtomicU8::new(FIRST_HOST),
            namespaces: AtomicUsize::new(0),
            stored: AtomicUsize::new(0),
        };
        for crd in crds {
            plane.install(crd);
        }
        plane
    }

    fn install(&self, crd: &Value) {
        let created = self.api.post("/apis/apiextensions.k8s.io/v1/customresourcedefinitions", crd);
        assert_eq!(created.status, 201, "{}", created.body);
        let text = |pointer: &str| crd.pointer(pointer).and_then(Value::as_str).expect("a CRD has names").to_owned();
        let (group, plural) = (text("/spec/group"), text("/spec/names/plural"));
        for version in crd["spec"]["versions"].as_array().expect("a CRD has versions") {
            let path = format!("/apis/{group}/{}/{plural}", version["name"].as_str().expect("a version has a name"));
            wait_until("the CRD is served", || self.api.get(&path).status == 200);
        }
    }

    /// A namespace that no other test uses.
    pub(crate) fn namespace(&self, labels: &Value) -> String {
        let name = format!("test-{}", self.namespaces.fetch_add(1, Ordering::Relaxed));
        let namespace = json!({"metadata": {"name": name, "labels": labels}});
        let created = self.api.post("/api/v1/namespaces", &namespace);
        assert_eq!(created.status, 201, "{}", created.body);
        name
    }

    /// An address for a Service that no other has, and whose ports are this test's.
    pub(crate) fn host(&self) -> u8 {
        self.hosts.fetch_add(1, Ordering::Relaxed)
    }

    /// Where the API server is.
    pub(crate) fn address(&self) -> SocketAddrV4 {
        self.network.at(1, PORTS[2])
    }

    pub(crate) fn network(&self) -> &Network {
        &self.network
    }

    /// kubectl as an administrator, without colors or a home.
    pub(crate) fn kubectl(&self) -> Command {
        let mut kubectl = Command::new(self.assets.program("kubectl"));
        kubectl
            .env_clear()
            .env("HOME", &self.directory)
            .env("TMPDIR", &self.directory)
            .env("PATH", std::env::var_os("PATH").unwrap_or_default());
        kubectl.env("KUBECONFIG", self.kubeconfig());
        kubectl
    }

    pub(crate) fn kubeconfig(&self) -> PathBuf {
        self.directory.join(KUBECONFIG)
    }

    /// A kubeconfig with a token of a service account, in whose namespace it is.
    pub(crate) fn service_account(&self, namespace: &str, name: &str) -> PathBuf {
        let kubeconfig = fs::read(self.kubeconfig()).expect("it was just written");
        let mut kubeconfig: Value = serde_json::from_slice(&kubeconfig).expect("it is JSON");
        kubeconfig["users"][0]["user"] = json!({"token": self.token(namespace, name)});
        kubeconfig["contexts"][0]["context"]["namespace"] = json!(namespace);
        let path = self.directory.join(format!("{namespace}-{name}.kubeconfig"));
        fs::write(&path, kubeconfig.to_string()).expect("a file can be written");
        path
    }

    /// Lines of the audit log about ClusterProfiles that were written.
    pub(crate) fn audited(&self) -> Vec<Value> {
        let log = fs::read_to_string(self.directory.join(AUDIT_LOG)).expect("the API server has made it");
        log.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
    }

    /// A token of a service account, as `kubectl create token` has it.
    pub(crate) fn token(&self, namespace: &str, name: &str) -> String {
        let tokens = format!("/api/v1/namespaces/{namespace}/serviceaccounts/{name}/token");
        let request = json!({"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}});
        let issued = self.api.post(&tokens, &request);
        assert_eq!(issued.status, 201, "{issued:#?}");
        issued.body["status"]["token"].as_str().expect("it was issued").to_owned()
    }

    /// Puts a profile where the API server keeps it, past every check, as if it had been stored long ago.
    pub(crate) fn store(&self, namespace: &str, mut profile: Value) {
        let metadata = &mut profile["metadata"];
        metadata["namespace"] = json!(namespace);
        metadata["uid"] = json!(format!("5f3a1c52-8d7e-4d57-9a53-{:012}", self.stored.fetch_add(1, Ordering::Relaxed)));
        metadata["creationTimestamp"] = json!("2025-01-01T00:00:00Z");
        metadata["generation"] = json!(1);
        let name = metadata["name"].as_str().expect("what is stored has a name");
        let key = &format!("/registry/multicluster.x-k8s.io/clusterprofiles/{namespace}/{name}");
        put_in_etcd(self.network.at(1, PORTS[0]), key, &profile);
    }

    /// Removes what is left of it; else it stays, for whoever looks for the cause of a failure.
    pub(crate) fn forget(self) {
        let directory = self.directory.clone();
        drop(self);
        fs::remove_dir_all(directory).expect("it was made by this test");
    }

    pub(crate) fn directory(&self) -> &Path {
        &self.directory
    }
}

/// The API server gives the first address to its own Service. For those that name none it takes one from the upper end.
const FIRST_HOST: u8 = 2;

const KUBECONFIG: &str = "kubeconfig";

/// Who wrote which ClusterProfile, and what webhooks have annotated.
const AUDIT: &str = "
apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
- level: Metadata
  verbs: [create, update, patch]
  resources: [{group: multicluster.x-k8s.io}]
- level: None
";

const AUDIT_LOG: &str = "audit.log";

fn start_etcd(assets: &Assets, network: &Network, directory: &Path) -> Process {
    let [clients, peers, _] = PORTS.map(|port| format!("http://{}", network.at(1, port)));
    let mut command = Command::new(assets.program("etcd"));
    command.env_clear();
    command.arg("--data-dir").arg(directory.join("etcd"));
    command.args(["--listen-client-urls", &clients, "--advertise-client-urls", &clients]);
    command.args(["--listen-peer-urls", &peers, "--initial-advertise-peer-urls", &peers]);
    command.args(["--initial-cluster", &format!("default={peers}"), "--unsafe-no-fsync", "--log-level=warn"]);
    // With one member there is nobody to wait for.
    command.args(["--heartbeat-interval=10", "--election-timeout=100"]);
    let mut etcd = Process::start(&mut command, &directory.join("etcd.log"));
    etcd.wait_until("etcd takes connections", || std::net::TcpStream::connect(network.at(1, PORTS[0])).is_ok());
    etcd
}

fn start_api_server(assets: &Assets, network: &Network, directory: &Path, more: &[String]) -> (Process, Api) {
    let file = |name: &str, content: &str| {
        let path = directory.join(name);
        fs::write(&path, content).expect("a file can be written");
        path.display().to_string()
    };
    let authority = Authority::new("control-plane");
    let address = network.at(1, PORTS[2]);
    let serving = authority.server(&[&address.ip().to_string()]);
    let tokens = authority.server(&["tokens"]);
    let ca = file("ca.crt", &authority.certificate);
    let flags = [
        ("etcd-servers", format!("http://{}", network.at(1, PORTS[0]))),
        ("bind-address", address.ip().to_string()),
        ("advertise-address", address.ip().to_string()),
        ("secure-port", address.port().to_string()),
        ("tls-cert-file", file("api.crt", &serving.certificate)),
        ("tls-private-key-file", file("api.key", &serving.key)),
        ("client-ca-file", ca.clone()),
        ("service-account-key-file", file("tokens.crt", &tokens.certificate)),
        ("service-account-signing-key-file", file("tokens.key", &tokens.key)),
        ("service-account-issuer", "https://kubernetes.default.svc".into()),
        ("service-cluster-ip-range", network.range()),
        ("authorization-mode", "RBAC".into()),
        ("endpoint-reconciler-type", "none".into()),
        ("audit-policy-file", file("audit.yaml", AUDIT)),
        ("audit-log-path", directory.join(AUDIT_LOG).display().to_string()),
    ];
    let mut command = Command::new(assets.program("kube-apiserver"));
    command.env_clear();
    command.args(flags.map(|(name, value)| format!("--{name}={value}"))).args(more);
    let mut server = Process::start(&mut command, &directory.join("kube-apiserver.log"));

    let admin = authority.client("admin", "system:masters");
    let kubeconfig = json!({
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "test",
        "contexts": [{"name": "test", "context": {"cluster": "test", "user": "admin"}}],
        "clusters": [{"name": "test", "cluster": {"server": format!("https://{address}"), "certificate-authority": ca}}],
        "users": [{"name": "admin", "user": {
            "client-certificate": file("admin.crt", &admin.certificate),
            "client-key": file("admin.key", &admin.key),
        }}],
    });
    file(KUBECONFIG, &kubeconfig.to_string());
    let api = Api::new(&directory.join(KUBECONFIG));
    server.wait_until("the API server is ready", || api.is_ready());
    (server, api)
}
