//! A mounted Secret, updated as kubelet updates it.

use std::{
    fs::{self, File},
    os::unix::fs::symlink,
    path::PathBuf,
    process::{Child, Command, Stdio},
    thread::{self, JoinHandle},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Map, Value};

use crate::rendered::{at, text};

/// The directory of a mounted Secret. Its link `..data` points to the files of one version, and is replaced atomically.
pub struct Mount {
    pub directory: PathBuf,
    data: Map<String, Value>,
    versions: usize,
}

impl Mount {
    /// Makes the directory, without files.
    pub fn new(directory: PathBuf) -> Self {
        fs::create_dir(&directory).expect("a directory can be made");
        Self { directory, data: Map::new(), versions: 0 }
    }

    /// Replaces the files by the data of `secret`. Does nothing if the data are the same.
    pub fn put(&mut self, secret: &Value) {
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
            fs::remove_dir_all(self.directory.join(before)).expect("only this mount removes versions");
        }
        self.data.clone_from(data);
    }
}

const DATA: &str = "..data";

/// Watches a Secret and updates its mount. If the Secret is deleted, the mount keeps the last version.
pub struct Kubelet {
    watch: Child,
    thread: Option<JoinHandle<()>>,
}

impl Kubelet {
    /// Starts the watch with `kubectl`. It ends when this is dropped.
    pub fn start(mut kubectl: Command, namespace: &str, secret: &str, mut mount: Mount) -> Self {
        let log = File::create(mount.directory.with_extension("log")).expect("a log can be written");
        kubectl.args(["get", "secrets", "--namespace", namespace, "--field-selector"]);
        kubectl.args([&format!("metadata.name={secret}"), "--watch", "--output-watch-events", "--output=json"]);
        let mut watch =
            kubectl.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(log).spawn().expect("kubectl can be run");
        let events = watch.stdout.take().expect("it is piped");
        let thread = thread::spawn(move || {
            // When kubectl is killed, the stream ends in the middle of an event.
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
