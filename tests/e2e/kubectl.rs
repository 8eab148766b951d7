//! Transcripts of kubectl, compared word for word.
//!
//! `tests/transcripts/NAME.console` has commands and their output; `UPDATE=1` writes the output instead of comparing
//! it. `NAME.stored.yaml` has objects that were stored before the webhook was installed.

use std::{
    env, fs,
    path::{Path, PathBuf},
    sync::{Arc, OnceLock},
};

use clusterprofile_webhook::manifest;
use libtest_mimic::Trial;
use testkit::{
    control_plane::ControlPlane,
    stage::{self, NAMESPACE},
    transcript::{Session, commands},
};

use super::planes::{Crd, Planes};

pub(crate) fn trials(planes: &Arc<Planes>) -> Vec<Trial> {
    let webhook = Arc::new(OnceLock::new());
    let trial = |transcript: PathBuf| {
        let (planes, webhook) = (Arc::clone(planes), Arc::clone(&webhook));
        let name = transcript.file_stem().expect("a file has a name").display().to_string();
        Trial::test(format!("kubectl::{name}"), move || {
            let control = &planes.get(Crd::Own).control;
            webhook.get_or_init(|| stage::set(control));
            compare(&transcript, &name, control);
            Ok(())
        })
    };
    stage::files("console").into_iter().map(trial).collect()
}

fn compare(transcript: &Path, name: &str, control: &ControlPlane) {
    let stored = fs::read_to_string(transcript).expect("a transcript is readable");
    let directory = stage::directory(name, control);
    store(&directory.join(format!("{name}.stored.yaml")), control);
    let mut session = Session::start(&control.kubectl(), &directory);
    let fresh: String = commands(&stored).iter().map(|command| session.run(command).to_string()).collect();
    if env::var_os("UPDATE").is_some() {
        fs::write(transcript, &fresh).expect("a transcript can be written");
        return;
    }
    for (number, (line, fresh_line)) in (1..).zip(stored.lines().zip(fresh.lines())) {
        assert_eq!(line, fresh_line, "{}:{number}: in\n{fresh}", transcript.display());
    }
    assert!(stored == fresh, "{} ends elsewhere than\n{fresh}", transcript.display());
}

/// Stores the objects of `manifests`, if the file exists, without the webhook.
fn store(manifests: &Path, control: &ControlPlane) {
    let Ok(text) = fs::read(manifests) else { return };
    for document in manifest::read(&text).0 {
        control.store(NAMESPACE, document.object);
    }
}
