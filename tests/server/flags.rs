//! Flags and variables of `serve`, and errors for invalid ones.

use std::{
    fs,
    net::TcpListener,
    process::{Command, Output},
};

use rcgen::KeyPair;

/// Runs the program, which must exit, with these variables.
fn run(arguments: &[&str], variables: &[(&str, &str)]) -> (Option<i32>, String) {
    let variables = variables.iter().map(|(name, value)| (format!("CLUSTERPROFILE_WEBHOOK_{name}"), value));
    let Output { status, stderr, .. } =
        Command::new(testkit::program()).args(arguments).envs(variables).output().expect("the binary was built");
    (status.code(), String::from_utf8(stderr).unwrap())
}

#[test]
fn unusable_input_exits_with_2() {
    let serve = ["serve", "--listen=127.0.0.1:0", "--admin-listen=127.0.0.1:0", "--log-level=off"];
    let with = |more: &[&str]| run(&[&serve[..], more].concat(), &[]);
    let missing = with(&["--tls-cert=missing.crt", "--tls-key=missing.key"]);
    assert_eq!(missing, (Some(2), "error: missing.crt: cannot read file: No such file or directory\n".into()));
    for (flags, text) in [
        (&[][..], "error: no certificate: give --tls-cert and --tls-key, or --service, or --dev and --dev-ca\n"),
        (
            &["--tls-cert=a"],
            "error: no certificate: give --tls-cert and --tls-key, or --service, or --dev and --dev-ca\n",
        ),
        (&["--service=a", "--dev"], "error: --service cannot be combined with --dev, --tls-cert or --tls-key\n"),
        (&["--service=a", "--leaf-lifetime=0s"], "error: --leaf-lifetime must be from 1s to 3650d\n"),
        (
            &["--service=a", "--ca-lifetime=1h", "--leaf-lifetime=2h"],
            "error: --leaf-lifetime must not be longer than --ca-lifetime\n",
        ),
        (
            &["--service=a", "--ca-lifetime=11m", "--leaf-lifetime=1m"],
            "error: --ca-lifetime must be at least six times --ca-overlap\n",
        ),
        (&["--dev"], "error: --dev requires --dev-ca\n"),
        (&["--dev", "--dev-ca=a", "--tls-cert=b"], "error: --dev cannot be combined with --tls-cert or --tls-key\n"),
    ] {
        assert_eq!(with(flags), (Some(2), text.to_owned()));
    }
    let key = tempfile::NamedTempFile::new().unwrap();
    fs::write(&key, KeyPair::generate().unwrap().serialize_pem()).unwrap();
    let key = key.path().display();
    for (flags, text) in [
        ("--client-ca=a", "--client-ca requires --client-name".to_owned()),
        ("--client-name=a", "--client-name requires --client-ca".to_owned()),
        ("--client-ca=a --client-name=b", "a: cannot read file: No such file or directory".to_owned()),
        (
            &format!("--client-ca={key} --client-name=b"),
            format!("{key}: no certificate found: expected a line -----BEGIN CERTIFICATE-----"),
        ),
    ] {
        let flags: Vec<_> = ["--dev", "--dev-ca=/dev/null"].into_iter().chain(flags.split(' ')).collect();
        assert_eq!(with(&flags), (Some(2), format!("error: {text}\n")));
    }
    for (url, text) in [
        ("https://a:4318", "must start with http:// (TLS is not supported"),
        ("a:4318", "must be http://HOST:PORT of a collector"),
    ] {
        let (code, printed) = with(&["--dev", "--dev-ca=/dev/null", &format!("--otlp-endpoint={url}")]);
        assert!(code == Some(2) && printed.contains(text), "{printed}");
    }
    let no_access =
        Command::new(testkit::program()).args(serve).arg("--service=a").env("KUBECONFIG", "missing").output();
    let no_access = no_access.expect("the binary was built");
    let text = String::from_utf8(no_access.stderr).unwrap();
    assert_eq!(no_access.status.code(), Some(2));
    assert!(
        text.starts_with("error: no service account and no usable kubeconfig: ") && text.contains("missing"),
        "{text}"
    );
    let (code, text) = with(&["--dev", "--dev-ca=missing/ca.crt"]);
    assert_eq!(code, Some(2));
    assert!(text.starts_with("error: missing/ca.crt: cannot write file: "), "{text}");
}

#[test]
fn a_port_in_use_exits_with_1_and_changes_nothing() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let ca = tempfile::NamedTempFile::new().unwrap();
    fs::write(&ca, "another's").unwrap();
    let listen = format!("--listen={}", taken.local_addr().unwrap());
    let (code, text) =
        run(&["serve", &listen, "--admin-listen=127.0.0.1:0", "--dev", "--dev-ca", ca.path().to_str().unwrap()], &[]);
    assert_eq!(code, Some(1));
    assert!(text.contains("(--listen)"), "{text}");
    assert_eq!(fs::read_to_string(&ca).unwrap(), "another's");
}

#[test]
fn a_false_variable_does_not_set_its_flag() {
    let serve = ["serve", "--tls-cert=missing.crt", "--tls-key=missing.key", "--listen=127.0.0.1:0"];
    let arguments = [&serve[..], &["--admin-listen=127.0.0.1:0"]].concat();
    for (dev, ca) in [("false", "ca.crt"), ("0", "ca.crt"), ("", "")] {
        let (code, text) = run(&arguments, &[("DEV", dev), ("DEV_CA", ca)]);
        assert_eq!(code, Some(2));
        assert!(text.starts_with("error: missing.crt: "), "{text}");
    }
}

#[test]
fn variables_can_be_empty_and_switches_accept_common_spellings() {
    for audit in ["", "1", "0", "true", "false", "yes", "no", "on", "off"] {
        let (_, text) = run(&["check", "missing.yaml"], &[("AUDIT", audit), ("EFFECT", "")]);
        assert!(text.starts_with("error: missing.yaml: "), "{audit}: {text}");
    }
    let (code, text) = run(&["check", "missing.yaml"], &[("AUDIT", "perhaps")]);
    assert_eq!(code, Some(2));
    assert!(text.contains("invalid value 'perhaps' for '--audit[=<BOOL>]'"), "{text}");
}

#[test]
fn a_mistyped_rule_gets_only_the_nearest_suggestion() {
    let (code, text) = run(&["explain", "cluster-manager-labl"], &[]);
    assert_eq!(code, Some(2));
    assert!(text.contains("did you mean \"cluster-manager-label\"?"), "{text}");
    assert!(!text.contains("property-name"), "{text}");
}
