//! The binary, as a Pod runs it.

use std::{
    fs,
    io::ErrorKind,
    net::{IpAddr, SocketAddr, TcpListener},
    path::Path,
    process::Command,
};

use serde_json::Value;

use super::{
    process::Process,
    rendered::{at, items, text},
};

/// The binary.
pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_clusterprofile-webhook");

/// A process of the binary, which ends with it.
pub(crate) struct Replica {
    pub address: SocketAddr,
    pub admin: SocketAddr,
    process: Process,
}

impl Replica {
    /// Starts the binary in `directory`, and waits until it says that it listens.
    ///
    /// `kubeconfig` stands for what a Pod has of its service account.
    pub(crate) fn start(arguments: &[String], directory: &Path, kubeconfig: Option<&Path>) -> Self {
        Self::start_program(Path::new(PROGRAM), arguments, directory, kubeconfig)
    }

    /// The same for another build of the binary.
    pub(crate) fn start_program(
        program: &Path,
        arguments: &[String],
        directory: &Path,
        kubeconfig: Option<&Path>,
    ) -> Self {
        let mut command = Command::new(program);
        command.args(arguments).env_clear().current_dir(directory);
        command.envs(kubeconfig.map(|kubeconfig| ("KUBECONFIG", kubeconfig)));
        Self::launch(&mut command, &directory.join("replica.log"))
    }

    /// The same for a command that becomes the binary.
    pub(crate) fn launch(command: &mut Command, log: &Path) -> Self {
        let mut process = Process::start(command, log);
        let mut listening = Value::Null;
        process.wait_until("the server listens", || {
            let log = fs::read_to_string(log).expect("it was just made");
            let mut lines = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
            listening = lines.find(|line| line["message"] == "listening").unwrap_or_default();
            listening.is_object()
        });
        let address = |pointer| text(&listening, pointer).parse().expect("it tells an address");
        Self { address: address("/address"), admin: address("/admin_address"), process }
    }

    /// The most memory that was resident since it was last forgotten, in bytes.
    pub(crate) fn peak_memory(&self) -> u64 {
        self.status("VmHWM:") << 10
    }

    /// How much memory is resident now, in bytes.
    pub(crate) fn memory(&self) -> u64 {
        self.status("VmRSS:") << 10
    }

    pub(crate) fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// Forgets the peak, where the system can.
    pub(crate) fn forget_peak_memory(&self) {
        drop(fs::write(self.process.file("clear_refs"), "5"));
    }

    fn status(&self, field: &str) -> u64 {
        let status = fs::read_to_string(self.process.file("status")).expect("it runs");
        let kilobytes = status.lines().find_map(|line| line.strip_prefix(field)?.trim().strip_suffix(" kB"));
        kilobytes.and_then(|kilobytes| kilobytes.parse().ok()).expect("Linux tells it")
    }

    /// Lets it do nothing any more.
    pub(crate) fn freeze(&self) {
        self.process.signal("STOP");
    }

    /// Lets a frozen one go on.
    pub(crate) fn thaw(&self) {
        self.process.signal("CONT");
    }

    /// Ends it as kubelet does.
    pub(crate) fn stop(mut self) {
        self.process.stop();
    }

    /// Tells it to end, as kubelet does.
    pub(crate) fn terminate(&self) {
        self.process.signal("TERM");
    }

    /// Waits until it has ended, having been told to.
    pub(crate) fn wait_for_end(mut self) {
        self.process.wait_for_end();
    }
}

/// The arguments of the Deployment's container on this machine: `mounted` stands for the Secret that is mounted there, and the
/// base, whose file it holds, for the `ConfigMap`.
pub(crate) fn arguments(deployment: &Value, mounted: &Path, listen: SocketAddr) -> Vec<String> {
    let base = Path::new(env!("CARGO_MANIFEST_DIR")).join("manifests/base");
    let container = container(deployment);
    let stands = |volume: &Value| {
        let mount = items(container, "/volumeMounts").iter().find(|mount| mount["name"] == volume["name"]);
        let path = text(mount.expect("what is there is mounted"), "/mountPath").to_owned();
        (path, if volume.get("configMap").is_some() { base.as_path() } else { mounted })
    };
    let stands: Vec<_> = items(deployment, "/spec/template/spec/volumes").iter().map(stands).collect();
    let here = |argument: &Value| {
        let argument = argument.as_str().expect("an argument is a string");
        let (flag, value) = argument.split_once('=').unwrap_or((argument, ""));
        let file = |(path, here): &(String, &Path)| Some(here.join(Path::new(value).strip_prefix(path).ok()?));
        match (flag, stands.iter().find_map(file)) {
            ("--listen", _) => format!("{flag}={listen}"),
            ("--admin-listen", _) => format!("{flag}=127.0.0.1:0"),
            (_, Some(file)) => format!("{flag}={}", file.display()),
            _ => argument.to_owned(),
        }
    };
    items(container, "/args").iter().map(here).collect()
}

/// These arguments with more flags, or other values of those that are there.
pub(crate) fn with_flags(mut arguments: Vec<String>, flags: &[&str]) -> Vec<String> {
    let name = |argument: &str| argument.split('=').next().map(ToOwned::to_owned);
    arguments.retain(|argument| flags.iter().all(|flag| name(flag) != name(argument)));
    arguments.extend(flags.iter().map(ToString::to_string));
    arguments
}

/// Where the API server calls: the Service's own address, which is of loopback, as there is no proxy to send it elsewhere.
///
/// Where its port is root's, another is told to whoever can move Service and configurations there.
pub(crate) fn service_address(service: &Value, move_to: impl FnOnce(u16)) -> SocketAddr {
    const PORT: u16 = 8443;
    let ip: IpAddr = text(service, "/spec/clusterIP").parse().expect("the API server gives an address");
    let port = at(service, "/spec/ports/0/port").as_u64().and_then(|port| port.try_into().ok());
    let address = SocketAddr::new(ip, port.expect("a port is a number"));
    match TcpListener::bind(address) {
        Ok(_) => address,
        Err(error) if error.kind() == ErrorKind::PermissionDenied => {
            move_to(PORT);
            SocketAddr::new(ip, PORT)
        }
        Err(error) => panic!("{address}: {error}"),
    }
}

/// The container of the Deployment's Pods.
pub(crate) fn container(deployment: &Value) -> &Value {
    let [container] = items(deployment, "/spec/template/spec/containers") else {
        panic!("one container: {deployment:#}")
    };
    container
}
