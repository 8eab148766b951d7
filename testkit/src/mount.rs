//! What kubelet does with the Secret that a Pod mounts.

use std::{
    fs::{self, File},
    os::unix::fs::symlink,
    path::PathBuf,
    process::{Child, Command, Stdio},
    thread::{self, JoinHandle},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Map, Value};

use super::rendered::{at, text};

/// A directory in which a link `..data` leads to the files of one version; another takes its place in one step.
pub(crate) struct Mount {
    pub directory: PathBuf,
    data: Map<String, Value>,
    versions: usize,
}

impl Mount {
    pub(crate) fn new(directory: PathBuf) -> Self {
        fs::create_dir(&directory).expect("a directory can be made");
        Self { directory, data: Map::new(), versions: 0 }
    }

    /// Brings the Secret's data in.
    pub(crate) fn put(&mut self, secret: &Value) {
        let data = at(secret, "/data").as_object().expect("a Secret's data is a map");
        if *data == self.data {
            return;
        }
        let before = fs::read_link(self.directory.join(DATA));
        self.versions += 1;
        let version = format!("..{}", self.versions);
        fs::create_dir(self.directory.join(&version)).expect("a directory can be made");
        for (name, content) in data {
            let content = STANDARD.decode(content.as_str().unwrap_or_default()).expect("a Secret's data is base64");
            fs::write(self.directory.join(&version).join(name), content).expect("a file can be written");
        }
        let link = self.directory.join("..data_tmp");
        symlink(version, &link).expect("a link can be made");
        fs::rename(link, self.directory.join(DATA)).expect("a link can be renamed");
        for name in data.keys().filter(|name| !self.data.contains_key(*name)) {
            symlink(PathBuf::from(DATA).join(name), self.directory.join(name)).expect("a link can be made");
        }
        if let Ok(before) = before {
            fs::remove_dir_all(self.directory.join(before)).expect("nobody else removes it");
        }
        self.data.clone_from(data);
    }
}

const DATA: &str = "..data";

/// Keeps a mount as the Secret is. While there is none, what is mounted stays.
pub(crate) struct Kubelet {
    watch: Child,
    thread: Option<JoinHandle<()>>,
}

impl Kubelet {
    pub(crate) fn start(mut kubectl: Command, namespace: &str, secret: &str, mut mount: Mount) -> Self {
        let log = File::create(mount.directory.with_extension("log")).expect("a log can be written");
        kubectl.args(["get", "secrets", "--namespace", namespace, "--field-selector"]);
        kubectl.args([&format!("metadata.name={secret}"), "--watch", "--output-watch-events", "--output=json"]);
        let mut watch =
            kubectl.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(log).spawn().expect("kubectl can be run");
        let events = watch.stdout.take().expect("it is piped");
        let thread = thread::spawn(move || {
            // It ends in the middle of an event where kubectl is killed.
            for event in serde_json::Deserializer::from_reader(events).into_iter::<Value>().map_while(Result::ok) {
                if text(&event, "/type") != "DELETED" {
                    mount.put(at(&event, "/object"));
                }
            }
        });
        Self { watch, thread: Some(thread) }
    }
}

impl Drop for Kubelet {
    fn drop(&mut self) {
        drop(self.watch.kill());
        drop(self.watch.wait());
        if let Some(thread) = self.thread.take() {
            let ended = thread.join();
            if !thread::panicking() {
                ended.expect("every version of the Secret could be mounted");
            }
        }
    }
}
