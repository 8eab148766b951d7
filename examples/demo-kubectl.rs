//! The second half of `make demo`: the same through kubectl and a real API server.

#![expect(clippy::print_stdout, reason = "a demo prints")]

use std::io::{Write as _, stdout};

use clusterprofile_webhook::{crd, manifest};
use testkit::{
    control_plane::ControlPlane,
    programs::Assets,
    stage,
    transcript::{self, Session},
};

fn main() -> anyhow::Result<()> {
    let Some(assets) = Assets::find() else {
        println!("demo: run `make control-plane` for the rest, which needs an API server");
        return Ok(());
    };
    println!("The same through kubectl. etcd, kube-apiserver and the webhook start ...\n");
    let crd = manifest::read(crd::yaml().as_bytes()).0.into_iter().map(|document| document.object);
    let plane = ControlPlane::start(&assets, "demo", &crd.collect::<Vec<_>>());
    let webhook = stage::set(&plane);
    let mut session = Session::start(&plane.kubectl(), &stage::directory("demo", &plane));
    for command in transcript::commands(include_str!("../tests/transcripts/demo.console")) {
        print!("{}", session.run(&command));
        stdout().flush()?;
    }
    drop((session, webhook));
    plane.forget();
    Ok(())
}
