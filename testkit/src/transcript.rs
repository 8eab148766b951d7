//! Transcripts: commands in a shell and their output.
//!
//! A line that begins with `$ ` is a command. Lines right after it that begin with `> ` continue it. All other lines
//! are output.

use std::{
    env, fmt,
    io::{BufRead as _, BufReader, Write as _},
    path::{self, Path},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
};

/// The commands of a transcript.
pub fn commands(transcript: &str) -> Vec<String> {
    let mut commands: Vec<String> = Vec::new();
    let mut continues = false;
    for line in transcript.lines() {
        if let Some(command) = line.strip_prefix(COMMAND) {
            commands.push(command.to_owned());
            continues = true;
        } else if let Some(more) = line.strip_prefix(CONTINUATION).filter(|_| continues) {
            let command = commands.last_mut().expect("a continuation follows a command");
            command.push('\n');
            command.push_str(more);
        } else {
            continues = false;
        }
    }
    commands
}

const COMMAND: &str = "$ ";
const CONTINUATION: &str = "> ";

/// A command and its output. Its `Display` is the form of a transcript.
pub struct Step {
    command: String,
    /// Standard output and standard error, in the order in which they were written.
    output: String,
    code: String,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{COMMAND}{}", self.command.replace('\n', &format!("\n{CONTINUATION}")))?;
        f.write_str(&self.output)?;
        if !self.output.is_empty() && !self.output.ends_with('\n') {
            writeln!(f)?;
        }
        if self.code == "0" { Ok(()) } else { writeln!(f, "(exit code {})", self.code) }
    }
}

/// A shell that runs commands one after the other. Variables, functions and the current directory persist between them.
pub struct Session {
    shell: Child,
    commands: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Session {
    /// Starts [`bash`] in `directory`, with `program` first in its `PATH`.
    pub fn start(program: &Command, directory: &Path) -> Self {
        let mut shell = bash(program, directory);
        shell.args(["-c", RUN, "bash"]);
        shell.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut shell = shell.spawn().expect("coreutils are installed");
        let commands = shell.stdin.take().expect("it is piped");
        let output = BufReader::new(shell.stdout.take().expect("it is piped"));
        Self { shell, commands, output }
    }

    /// Runs a command to its end.
    ///
    /// # Panics
    ///
    /// Panics if the command ends the shell, or the session takes more than ten minutes.
    pub fn run(&mut self, command: &str) -> Step {
        self.commands.write_all(format!("{command}\0").as_bytes()).expect("the shell reads");
        let [output, code] = [(); 2].map(|()| {
            let mut text = Vec::new();
            self.output.read_until(0, &mut text).expect("the shell's output can be read");
            assert_eq!(text.pop(), Some(0), "the shell ended: {command}\n{}", String::from_utf8_lossy(&text));
            String::from_utf8(text).expect("the output is UTF-8")
        });
        Step { command: command.to_owned(), output, code }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        drop(self.shell.kill());
        drop(self.shell.wait());
    }
}

/// A bash command in `directory`, with the environment of `program` and its directory first in `PATH`. It is killed
/// after ten minutes.
pub fn bash(program: &Command, directory: &Path) -> Command {
    /// In seconds; far longer than any session takes.
    const LONGEST: &str = "600";
    let variable = |wanted: &str| program.get_envs().find_map(|(name, value)| value.filter(|_| name == wanted));
    let file = path::absolute(program.get_program()).expect("a program has a name");
    let first = file.parent().expect("a program is in a directory").to_owned();
    let others = env::split_paths(variable("PATH").unwrap_or_default());
    let path = env::join_paths([first].into_iter().chain(others)).expect("no directory has a colon in its name");

    let mut shell = Command::new("timeout");
    shell.args([LONGEST, "bash"]).current_dir(directory);
    shell.env_clear().envs(program.get_envs().filter_map(|(name, value)| Some((name, value?)))).env("PATH", path);
    shell
}

/// The loop that bash runs. It reads commands from standard input, and writes the output and the exit code of each. A
/// NUL ends each of these.
const RUN: &str = r#"
exec 3<&0 </dev/null 2>&1
while IFS= builtin read -r -d '' -u 3 command; do
    builtin eval "$command" 3<&-
    builtin printf '\0%d\0' $?
done
"#;
