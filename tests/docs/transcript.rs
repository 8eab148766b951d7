//! A transcript has the form of a terminal session.

use std::{env, process::Command};

use testkit::transcript::{Session, commands};

#[test]
fn a_session_has_the_form_of_a_transcript() {
    let typed = r#"$ greet() { echo "hello, $1"; }
$ name=world
$ greet "$name"
hello, world
$ cat <<END
> first
>   second
> END
first
  second
$ printf 'no line end'
no line end
$ echo out; echo failed >&2; (exit 3)
out
failed
(exit code 3)
$ cat
"#;
    let mut session = start();
    let written: String = commands(typed).iter().map(|command| session.run(command).to_string()).collect();
    assert_eq!(written, typed);
}

#[test]
#[should_panic(expected = "the shell ended: exit 1")]
fn a_session_that_ends_early_fails() {
    start().run("exit 1");
}

fn start() -> Session {
    let program = env::current_exe().expect("a test is a program");
    Session::start(Command::new(program).env("PATH", env::var_os("PATH").unwrap_or_default()), &env::temp_dir())
}
