//! The binary, run as in a Pod.

use std::{
    fs,
    io::ErrorKind,
    net::{IpAddr, SocketAddr, TcpListener},
    path::Path,
    process::Command,
};

use serde_json::Value;

use crate::{
    process::Process,
    program,
    rendered::{at, items, text},
    root,
};

/// A running binary that serves. It is killed when this is dropped.
pub struct Replica {
    pub address: SocketAddr,
    pub admin: SocketAddr,
    process: Process,
}

impl Replica {
    /// Starts the binary in `directory` and waits until it logs that it listens.
    ///
    /// `kubeconfig` replaces the service account of a Pod. The log is `directory/replica.log`.
    ///
    /// # Panics
    ///
    /// Panics with the end of its log if it does not listen.
    pub fn start(arguments: &[String], directory: &Path, kubeconfig: Option<&Path>) -> Self {
        Self::start_program(&program(), arguments, directory, kubeconfig)
    }

    /// As [`Replica::start`], with another build of the binary.
    pub fn start_program(program: &Path, arguments: &[String], directory: &Path, kubeconfig: Option<&Path>) -> Self {
        let mut command = Command::new(program);
        command.args(arguments).env_clear().current_dir(directory);
        command.envs(kubeconfig.map(|kubeconfig| ("KUBECONFIG", kubeconfig)));
        Self::launch(&mut command, &directory.join("replica.log"))
    }

    /// As [`Replica::start`], with a command that executes the binary.
    pub fn launch(command: &mut Command, log: &Path) -> Self {
        let mut process = Process::start(command, log);
        let mut listening = Value::Null;
        process.wait_until("the server listens", || {
            let log = fs::read_to_string(log).expect("it was just made");
            let mut lines = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
            listening = lines.find(|line| line["message"] == "listening").unwrap_or_default();
            listening.is_object()
        });
        let address = |pointer| text(&listening, pointer).parse().expect("the line has both addresses");
        Self { address: address("/address"), admin: address("/admin_address"), process }
    }

    /// The peak of resident memory since the last [`Replica::forget_peak_memory`], in bytes.
    pub fn peak_memory(&self) -> u64 {
        self.status("VmHWM:") << 10
    }

    /// Resident memory, in bytes.
    pub fn memory(&self) -> u64 {
        self.status("VmRSS:") << 10
    }

    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// Resets the peak, if the system supports it.
    pub fn forget_peak_memory(&self) {
        drop(fs::write(self.process.file("clear_refs"), "5"));
    }

    fn status(&self, field: &str) -> u64 {
        let status = fs::read_to_string(self.process.file("status")).expect("it runs");
        let kilobytes = status.lines().find_map(|line| line.strip_prefix(field)?.trim().strip_suffix(" kB"));
        kilobytes.and_then(|kilobytes| kilobytes.parse().ok()).expect("Linux reports it")
    }

    /// Suspends the process.
    pub fn freeze(&self) {
        self.process.signal("STOP");
    }

    /// Resumes a suspended process.
    pub fn thaw(&self) {
        self.process.signal("CONT");
    }

    /// Sends SIGTERM, as kubelet does, and waits for the exit code 0.
    pub fn stop(mut self) {
        self.process.stop();
    }

    /// Sends SIGTERM, as kubelet does, and returns.
    pub fn terminate(&self) {
        self.process.signal("TERM");
    }

    /// Waits for the exit code 0 after [`Replica::terminate`].
    pub fn wait_for_end(mut self) {
        self.process.wait_for_end();
    }
}

/// The arguments of the Deployment's container, changed for this machine: it listens at `listen`, `mounted` is the
/// directory of the Secret, and `manifests/base` that of the `ConfigMap`.
pub fn arguments(deployment: &Value, mounted: &Path, listen: SocketAddr) -> Vec<String> {
    let base = root().join("manifests/base");
    let container = container(deployment);
    let stands = |volume: &Value| {
        let mount = items(container, "/volumeMounts").iter().find(|mount| mount["name"] == volume["name"]);
        let path = text(mount.expect("every volume is mounted"), "/mountPath").to_owned();
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

/// Adds flags to `arguments`, and replaces those that are already there.
pub fn with_flags(mut arguments: Vec<String>, flags: &[&str]) -> Vec<String> {
    let name = |argument: &str| argument.split('=').next().map(ToOwned::to_owned);
    arguments.retain(|argument| flags.iter().all(|flag| name(flag) != name(argument)));
    arguments.extend(flags.iter().map(ToString::to_string));
    arguments
}

/// The address that the API server calls: the cluster IP of the Service, which is a loopback address, because no proxy
/// forwards it.
///
/// If the port of the Service is reserved for root, calls `move_to` with the port 8443, to which the caller must move
/// the Service and the webhook configurations.
pub fn service_address(service: &Value, move_to: impl FnOnce(u16)) -> SocketAddr {
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

/// The only container in the Pods of a Deployment.
pub fn container(deployment: &Value) -> &Value {
    let [container] = items(deployment, "/spec/template/spec/containers") else {
        panic!("one container: {deployment:#}")
    };
    container
}
