//! The memory that the kernel uses for the sockets of a replica, which counts toward the limit of its Pod.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

/// Where it is counted.
pub(crate) enum Sockets {
    /// In a control group of the replica's own.
    Group { directory: PathBuf, home: PathBuf, count: fn(&Path) -> Option<u64> },
    /// With all sockets of this machine, less what they had in the beginning.
    Machine { before: u64 },
}

impl Sockets {
    /// Of the process, for connections that it accepts from now on.
    pub(crate) fn of(pid: u32) -> Self {
        grouped(pid).unwrap_or_else(|_| Self::Machine { before: of_machine() })
    }

    /// How many bytes they are now.
    pub(crate) fn bytes(&self) -> u64 {
        match self {
            Self::Group { directory, count, .. } => count(directory).expect("the system reports it"),
            Self::Machine { before } => of_machine().saturating_sub(*before),
        }
    }
}

/// Version 1 of control groups counts in a file of its own, once there is a limit; version 2 with all that a group has.
fn grouped(pid: u32) -> io::Result<Sockets> {
    /// None that is ever reached.
    const LIMIT: &str = "1099511627776";
    type Count = fn(&Path) -> Option<u64>;
    let v1: Count = |group| fs::read_to_string(group.join("memory.kmem.tcp.usage_in_bytes")).ok()?.trim().parse().ok();
    let v2: Count = |group| {
        let stat = fs::read_to_string(group.join("memory.stat")).ok()?;
        stat.lines().find_map(|line| line.strip_prefix("sock ")?.parse().ok())
    };
    let name = format!("clusterprofile-webhook-{pid}");
    for (home, limit, count) in
        [("/sys/fs/cgroup/memory", Some("memory.kmem.tcp.limit_in_bytes"), v1), ("/sys/fs/cgroup", None, v2)]
    {
        let (home, directory) = (PathBuf::from(home), Path::new(home).join(&name));
        if fs::create_dir(&directory).is_err() {
            continue;
        }
        let group = Sockets::Group { directory: directory.clone(), home, count };
        let is_limited = limit.is_none_or(|limit| fs::write(directory.join(limit), LIMIT).is_ok());
        if is_limited && count(&directory).is_some() {
            fs::write(directory.join("cgroup.procs"), pid.to_string())?;
            return Ok(group);
        }
    }
    Err(io::ErrorKind::Unsupported.into())
}

fn of_machine() -> u64 {
    /// Bytes of a page.
    const PAGE: u64 = 4096;
    let sockets = fs::read_to_string("/proc/net/sockstat").unwrap_or_default();
    let pages = sockets.lines().find_map(|line| line.strip_prefix("TCP:")?.split_once(" mem ")?.1.trim().parse().ok());
    pages.unwrap_or(0) * PAGE
}

impl Drop for Sockets {
    fn drop(&mut self) {
        let Self::Group { directory, home, .. } = self else { return };
        let left = fs::read_to_string(directory.join("cgroup.procs")).unwrap_or_default();
        for pid in left.lines() {
            drop(fs::write(home.join("cgroup.procs"), pid));
        }
        drop(fs::remove_dir(directory));
    }
}
