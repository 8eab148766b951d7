//! The static binary in an empty root directory, as in the image.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::{Value, json};
use testkit::{
    programs::are_required,
    rendered::{at, text},
};

/// The static binary that `make static` has built.
#[derive(Clone, Debug)]
pub(crate) struct StaticBinary(PathBuf);

impl StaticBinary {
    /// The binary that `STATIC_BINARY` names. Returns `None` if there is none and its tests can be skipped.
    pub(crate) fn find() -> Option<Self> {
        const VARIABLE: &str = "STATIC_BINARY";
        let named = env::var_os(VARIABLE).filter(|value| !value.is_empty()).map(PathBuf::from);
        assert!(named.is_some() || !are_required(), "{VARIABLE} must name what `make static` builds");
        let named = named?;
        assert!(named.is_file(), "{VARIABLE}={}: run `make static`", named.display());
        Some(Self(named))
    }
}

/// A root directory with only the binary, as an image made `FROM scratch`: without certificates, users, names, time
/// zones and temporary files, and without what a container adds: /proc, /sys, /dev, /etc/resolv.conf.
pub(crate) struct EmptyRoot {
    directory: PathBuf,
    /// The user and the group that the binary runs as.
    user: [String; 2],
}

impl EmptyRoot {
    /// For the image's own user, or for one that `OpenShift` could assign, whose group is always root's.
    pub(crate) fn new(directory: PathBuf, binary: &StaticBinary, is_openshift: bool) -> Self {
        fs::create_dir(&directory).expect("a directory can be made");
        // Not a link, which would lead out of the root.
        fs::copy(&binary.0, directory.join(BINARY)).expect("the binary can be copied");
        let containerfile = fs::read_to_string("Containerfile").expect("it is readable");
        let user = containerfile.lines().find_map(|line| line.strip_prefix("USER ")).expect("the image has a user");
        let user = if is_openshift { "1000650000:0" } else { user };
        let (user, group) = user.split_once(':').expect("it has a group");
        Self { directory, user: [user, group].map(ToOwned::to_owned) }
    }

    /// Makes what kubelet mounts at this path.
    pub(crate) fn mount(&self, path: &str, files: &[(&str, &[u8])]) {
        let mount = self.directory.join(path.trim_start_matches('/'));
        fs::create_dir_all(&mount).expect("a directory can be made");
        for (name, content) in files {
            fs::write(mount.join(name), content).expect("a file can be written");
        }
    }

    /// A command that executes the binary as a container of `deployment`: with only its variables, no way to more
    /// rights, and a read-only root directory.
    pub(crate) fn command(&self, deployment: &Value, arguments: &[String]) -> Command {
        let pod = at(deployment, "/spec/template/spec");
        let container = at(pod, "/containers/0");
        assert_eq!(at(container, "/securityContext/allowPrivilegeEscalation"), false);
        let [user, group] = &self.user;
        let mut command = Command::new("setpriv");
        command.env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").current_dir("/").arg("--no-new-privs");
        if is_root() {
            command.args(["chroot", &format!("--userspec=+{user}:+{group}"), "--groups="]).arg(&self.directory);
        } else {
            command.args(["unshare", &format!("--map-user={user}"), &format!("--map-group={group}")]);
            command.arg(format!("--root={}", self.directory.display()));
        }
        command.arg(Path::new("/").join(BINARY)).args(arguments);
        for variable in container["env"].as_array().into_iter().flatten() {
            command.env(text(variable, "/name"), text(variable, "/value"));
        }
        command
    }

    /// Whether the content of the directory is unchanged.
    pub(crate) fn is_as_it_was(&self) -> bool {
        let entries = fs::read_dir(&self.directory).expect("it is there").map(|entry| entry.expect("it is there"));
        let mut names: Vec<_> = entries.map(|entry| entry.file_name().into_string().expect("it is ASCII")).collect();
        names.sort_unstable();
        json!(names) == json!([BINARY, "etc", "var"])
    }
}

/// The path of the binary in the image, from `Containerfile`.
const BINARY: &str = "clusterprofile-webhook";

fn is_root() -> bool {
    let status = fs::read_to_string("/proc/self/status").expect("this is Linux");
    let ids = status.lines().find_map(|line| line.strip_prefix("Uid:")).expect("a process has a user");
    ids.split_whitespace().nth(1) == Some("0")
}
