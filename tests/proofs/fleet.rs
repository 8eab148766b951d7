//! The replicas of a Deployment behind its Service.

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
    thread,
    time::Duration,
};

use testkit::{
    balancer::{Backend, Balancer},
    replica::Replica,
    server::{get, value_of},
    wait::wait_until,
};

/// Two replicas, each a process.
pub(crate) struct Fleet {
    balancer: Balancer,
    program: PathBuf,
    arguments: Vec<String>,
    kubeconfig: Option<PathBuf>,
    directory: PathBuf,
    replicas: Vec<(Replica, Arc<Backend>)>,
    started: usize,
    late: u64,
}

impl Fleet {
    /// Starts both with this program and these arguments, each in its own directory.
    pub(crate) fn start(
        program: &Path,
        service: SocketAddr,
        arguments: Vec<String>,
        kubeconfig: Option<PathBuf>,
        directory: &Path,
    ) -> Self {
        let mut fleet = Self {
            balancer: Balancer::start(service),
            program: program.to_owned(),
            arguments,
            kubeconfig,
            directory: directory.to_owned(),
            replicas: Vec::new(),
            started: 0,
            late: 0,
        };
        for _ in 0..2 {
            fleet.add();
        }
        fleet
    }

    /// Uses another build for the replicas that are started next.
    pub(crate) fn release(&mut self, program: &Path, arguments: Vec<String>) {
        program.clone_into(&mut self.program);
        self.arguments = arguments;
    }

    /// Starts a replica that the Service does not use yet, and makes it the leader.
    pub(crate) fn start_leader(&mut self) -> Replica {
        let newcomer = self.start_one();
        let others = self.replicas.iter().map(|(replica, _)| replica);
        others.clone().for_each(Replica::freeze);
        wait_until("the newcomer leads", || value_of(newcomer.admin, "leading") == 1);
        others.for_each(Replica::thaw);
        newcomer
    }

    /// Stops all others as kubelet does, once the Service uses this one.
    pub(crate) fn replace_by(&mut self, newcomer: Replica) {
        let backend = self.balancer.add(newcomer.address);
        for (replica, backend) in self.replicas.drain(..) {
            self.balancer.remove(&backend);
            replica.stop();
        }
        self.replicas.push((newcomer, backend));
        self.add();
    }

    /// The log of the replica that was started last.
    pub(crate) fn last_log(&self) -> String {
        fs::read_to_string(self.own_directory().join("replica.log")).expect("it has a log")
    }

    /// Stops a replica as kubelet does, after the Service has removed it. Another replaces it.
    pub(crate) fn stop(&mut self, index: usize) {
        let (replica, backend) = self.replicas.remove(index);
        self.balancer.remove(&backend);
        replica.stop();
        self.add();
    }

    /// Replaces every replica as a rolling update without unavailable Pods does: the next one is ready before one gets
    /// SIGTERM. For some time the Service still uses that one.
    pub(crate) fn roll(&mut self) {
        /// More than a second, as with a busy kube-proxy; shorter than a drain.
        const LISTED: Duration = Duration::from_millis(1500);
        for _ in 0..self.replicas.len() {
            self.add();
            let (replica, backend) = self.replicas.remove(0);
            let opened = backend.opened();
            replica.terminate();
            thread::sleep(LISTED);
            self.balancer.remove(&backend);
            self.late += backend.opened() - opened;
            replica.wait_for_end();
        }
    }

    /// The number of connections that replicas accepted after SIGTERM.
    pub(crate) fn late(&self) -> u64 {
        self.late
    }

    /// The number of connections that a replica refused, even if another accepted them.
    pub(crate) fn refused(&self) -> u64 {
        self.balancer.refused()
    }

    /// Kills a replica during a call. The Service uses it until `meanwhile` returns, then another replaces it. Returns
    /// the number of calls that may have got no response: one on each of its connections.
    pub(crate) fn kill(&mut self, index: usize, meanwhile: impl FnOnce(&Self)) -> u64 {
        let (replica, backend) = self.replicas.remove(index);
        // Its responses take so little time that no call would be in progress.
        let closed = backend.closed();
        replica.freeze();
        wait_until("it is called", || backend.owed() >= OWED);
        drop(replica);
        meanwhile(self);
        self.balancer.remove(&backend);
        self.add();
        backend.open_since(closed)
    }

    /// The value of a series of each replica.
    pub(crate) fn metric(&self, series: &str) -> Vec<u64> {
        self.replicas.iter().map(|(replica, _)| value_of(replica.admin, series)).collect()
    }

    fn own_directory(&self) -> PathBuf {
        self.directory.join(format!("replica-{}", self.started))
    }

    fn start_one(&mut self) -> Replica {
        self.started += 1;
        let directory = self.own_directory();
        fs::create_dir_all(&directory).expect("a directory can be made");
        let replica = Replica::start_program(&self.program, &self.arguments, &directory, self.kubeconfig.as_deref());
        wait_until("it is ready", || get(replica.admin, "/readyz").starts_with("HTTP/1.1 200"));
        replica
    }

    fn add(&mut self) {
        let replica = self.start_one();
        let backend = self.balancer.add(replica.address);
        self.replicas.push((replica, backend));
    }
}

/// The minimum of calls in progress when a replica is killed.
const OWED: u64 = 5;
