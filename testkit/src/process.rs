//! Programs that a test starts.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use crate::wait::wait_until;

/// A running program. It is killed when this is dropped, also by a panic.
pub struct Process {
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts a program without input, and writes its output to the file `log`.
    pub fn start(command: &mut Command, log: &Path) -> Self {
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
    /// Panics if the condition does not hold in time, or with the end of the log if the program exits first.
    pub fn wait_until(&mut self, what: &str, mut condition: impl FnMut() -> bool) {
        wait_until(what, || {
            let ended = self.child.try_wait().expect("a child can be asked");
            assert!(ended.is_none(), "{what} ({ended:?}):\n{}", self.last_words());
            condition()
        });
    }

    /// Sends SIGTERM and waits for the exit code 0.
    ///
    /// # Panics
    ///
    /// Panics with the end of the log if the program fails or does not exit.
    pub fn stop(&mut self) {
        self.signal("TERM");
        self.wait_for_end();
    }

    /// Waits for the exit code 0.
    ///
    /// # Panics
    ///
    /// Panics with the end of the log if the program fails or does not exit.
    pub fn wait_for_end(&mut self) {
        let mut ended = None;
        wait_until("it ends", || {
            ended = self.child.try_wait().expect("a child can be asked");
            ended.is_some()
        });
        assert!(ended.is_some_and(|status| status.success()), "{ended:?}:\n{}", self.last_words());
    }

    /// Sends a signal, such as `TERM`.
    pub fn signal(&self, name: &str) {
        let sent = Command::new("kill").args(["-s", name, &self.child.id().to_string()]).status();
        assert!(sent.expect("kill can be run").success());
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The path of a file in its directory of `/proc`.
    pub fn file(&self, name: &str) -> PathBuf {
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
