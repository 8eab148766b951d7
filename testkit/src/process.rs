//! Programs that a test starts, and that end with it.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use super::wait::wait_until;

/// A program that is killed when it is dropped, also by a panic.
pub(crate) struct Process {
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts it, its output in `log`.
    pub(crate) fn start(command: &mut Command, log: &Path) -> Self {
        let output = File::create(log).expect("a log can be written");
        command.stdin(Stdio::null());
        command.stdout(output.try_clone().expect("a file can be shared")).stderr(output);
        let child = command.spawn().unwrap_or_else(|error| panic!("{}: {error}", command.get_program().display()));
        Self { child, log: log.to_owned() }
    }

    /// Waits until `condition` holds.
    ///
    /// # Panics
    ///
    /// Where it does not in time, or the program ends before: then with the end of its log.
    pub(crate) fn wait_until(&mut self, what: &str, mut condition: impl FnMut() -> bool) {
        wait_until(what, || {
            let ended = self.child.try_wait().expect("a child can be asked");
            assert!(ended.is_none(), "{what} ({ended:?}):\n{}", self.last_words());
            condition()
        });
    }

    /// Sends SIGTERM, and waits until it has ended well.
    ///
    /// # Panics
    ///
    /// Where it has not: then with the end of its log.
    pub(crate) fn stop(&mut self) {
        self.signal("TERM");
        self.wait_for_end();
    }

    /// Waits until it has ended well.
    ///
    /// # Panics
    ///
    /// Where it has not: then with the end of its log.
    pub(crate) fn wait_for_end(&mut self) {
        let mut ended = None;
        wait_until("it ends", || {
            ended = self.child.try_wait().expect("a child can be asked");
            ended.is_some()
        });
        assert!(ended.is_some_and(|status| status.success()), "{ended:?}:\n{}", self.last_words());
    }

    /// Sends a signal of that name.
    pub(crate) fn signal(&self, name: &str) {
        let sent = Command::new("kill").args(["-s", name, &self.child.id().to_string()]).status();
        assert!(sent.expect("kill can be run").success());
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What the system tells of it in a file of this name.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        Path::new("/proc").join(self.child.id().to_string()).join(name)
    }

    fn last_words(&self) -> String {
        let log = fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<_> = log.lines().rev().take(20).collect();
        lines.into_iter().rev().collect::<Vec<_>>().join("\n")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
