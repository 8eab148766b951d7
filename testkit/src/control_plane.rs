//! A real etcd and a real API server on loopback.

use std::{
    fs,
    net::SocketAddrV4,
    path::{Path, PathBuf},
    process::Command,
    sync::atomic::{AtomicU8, AtomicUsize, Ordering},
};

use serde_json::{Value, json};

use crate::{
    api::{Api, put_in_etcd},
    ca::Ca,
    loopback::{Network, PORTS},
    process::Process,
    programs::Assets,
    root,
    wait::wait_until,
};

/// A control plane of etcd and kube-apiserver, without controllers, nodes or proxies. Both end when it is dropped.
///
/// Each has its own network of loopback addresses, so that several run side by side, and Services have addresses at
/// which a test can listen. `api` is a client with all rights.
///
/// The order of the fields is the order in which they are dropped: an API server without its etcd does not end.
pub struct ControlPlane {
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
    /// Starts both programs and waits until all versions of `crds` are served.
    ///
    /// Certificates, data and logs are in `target/tmp/NAME-PID`, which remains for debugging until
    /// [`ControlPlane::forget`].
    ///
    /// # Panics
    ///
    /// Panics with the end of its log if a program does not start.
    pub fn start(assets: &Assets, name: &str, crds: &[Value]) -> Self {
        Self::start_with(assets, name, crds, &[])
    }

    /// As [`ControlPlane::start`], with more flags for the API server.
    pub fn start_with(assets: &Assets, name: &str, crds: &[Value], flags: &[String]) -> Self {
        let network = Network::claim();
        let directory = root().join(format!("target/tmp/{name}-{}", std::process::id()));
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

    /// Creates a namespace that no other test uses, and returns its name.
    pub fn namespace(&self, labels: &Value) -> String {
        let name = format!("test-{}", self.namespaces.fetch_add(1, Ordering::Relaxed));
        let namespace = json!({"metadata": {"name": name, "labels": labels}});
        let created = self.api.post("/api/v1/namespaces", &namespace);
        assert_eq!(created.status, 201, "{}", created.body);
        name
    }

    /// The last byte of an unused address for a Service: `network().at(host, port)`.
    pub fn host(&self) -> u8 {
        self.hosts.fetch_add(1, Ordering::Relaxed)
    }

    /// The address of the API server.
    pub fn address(&self) -> SocketAddrV4 {
        self.network.at(1, PORTS[2])
    }

    pub fn network(&self) -> &Network {
        &self.network
    }

    /// kubectl as an administrator, without colors or a home.
    pub fn kubectl(&self) -> Command {
        let mut kubectl = Command::new(self.assets.program("kubectl"));
        kubectl
            .env_clear()
            .env("HOME", &self.directory)
            .env("TMPDIR", &self.directory)
            .env("PATH", std::env::var_os("PATH").unwrap_or_default());
        kubectl.env("KUBECONFIG", self.kubeconfig());
        kubectl
    }

    /// The kubeconfig of an administrator.
    pub fn kubeconfig(&self) -> PathBuf {
        self.directory.join(KUBECONFIG)
    }

    /// Writes a kubeconfig with a token of a service account, and its namespace as the default.
    pub fn service_account(&self, namespace: &str, name: &str) -> PathBuf {
        let kubeconfig = fs::read(self.kubeconfig()).expect("it was just written");
        let mut kubeconfig: Value = serde_json::from_slice(&kubeconfig).expect("it is JSON");
        kubeconfig["users"][0]["user"] = json!({"token": self.token(namespace, name)});
        kubeconfig["contexts"][0]["context"]["namespace"] = json!(namespace);
        let path = self.directory.join(format!("{namespace}-{name}.kubeconfig"));
        fs::write(&path, kubeconfig.to_string()).expect("a file can be written");
        path
    }

    /// The events of the audit log, which has all writes of ClusterProfiles.
    pub fn audited(&self) -> Vec<Value> {
        let log = fs::read_to_string(self.directory.join(AUDIT_LOG)).expect("the API server has made it");
        log.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
    }

    /// Requests a token of a service account, as `kubectl create token` does.
    pub fn token(&self, namespace: &str, name: &str) -> String {
        let tokens = format!("/api/v1/namespaces/{namespace}/serviceaccounts/{name}/token");
        let request = json!({"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}});
        let issued = self.api.post(&tokens, &request);
        assert_eq!(issued.status, 201, "{issued:#?}");
        issued.body["status"]["token"].as_str().expect("it was issued").to_owned()
    }

    /// Writes a profile directly to etcd, without any check, as if it had been stored long ago.
    pub fn store(&self, namespace: &str, mut profile: Value) {
        let metadata = &mut profile["metadata"];
        metadata["namespace"] = json!(namespace);
        metadata["uid"] = json!(format!("5f3a1c52-8d7e-4d57-9a53-{:012}", self.stored.fetch_add(1, Ordering::Relaxed)));
        metadata["creationTimestamp"] = json!("2025-01-01T00:00:00Z");
        metadata["generation"] = json!(1);
        let name = metadata["name"].as_str().expect("what is stored has a name");
        let key = &format!("/registry/multicluster.x-k8s.io/clusterprofiles/{namespace}/{name}");
        put_in_etcd(self.network.at(1, PORTS[0]), key, &profile);
    }

    /// Ends both programs and removes their directory. Call it only after a success: the logs show why a test failed.
    pub fn forget(self) {
        let directory = self.directory.clone();
        drop(self);
        fs::remove_dir_all(directory).expect("it was made by this test");
    }

    /// The directory of certificates, data and logs, in which a test can make its own files.
    pub fn directory(&self) -> &Path {
        &self.directory
    }
}

/// The API server uses the first address for its own Service, and allocates from the upper end of the range.
const FIRST_HOST: u8 = 2;

const KUBECONFIG: &str = "kubeconfig";

/// Logs every write of a ClusterProfile with its user and the audit annotations of webhooks.
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
    // With one member, an election needs no time.
    command.args(["--heartbeat-interval=10", "--election-timeout=100"]);
    let mut etcd = Process::start(&mut command, &directory.join("etcd.log"));
    etcd.wait_until("etcd accepts connections", || std::net::TcpStream::connect(network.at(1, PORTS[0])).is_ok());
    etcd
}

fn start_api_server(assets: &Assets, network: &Network, directory: &Path, more: &[String]) -> (Process, Api) {
    let file = |name: &str, content: &str| {
        let path = directory.join(name);
        fs::write(&path, content).expect("a file can be written");
        path.display().to_string()
    };
    let signer = Ca::new("control-plane");
    let address = network.at(1, PORTS[2]);
    let serving = signer.server(&[&address.ip().to_string()]);
    let tokens = signer.server(&["tokens"]);
    let ca = file("ca.crt", &signer.certificate);
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

    let admin = signer.client("admin", "system:masters");
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
