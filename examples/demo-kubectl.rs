//! The second half of `make demo`: the same story, told by kubectl against a real API server.

#![expect(clippy::panic, clippy::indexing_slicing, reason = "what cannot go on must end")]
#![expect(clippy::print_stdout, reason = "showing is what a demo is for")]

#[path = "api.rs"]
#[expect(dead_code, reason = "tests need more of it")]
mod api;
#[path = "assets.rs"]
mod assets;
#[path = "authority.rs"]
#[expect(dead_code, reason = "tests need more of it")]
mod authority;
#[path = "control_plane.rs"]
#[expect(dead_code, reason = "tests need more of it")]
mod control_plane;
#[path = "loopback.rs"]
mod loopback;
#[path = "process.rs"]
#[expect(dead_code, reason = "tests need more of it")]
mod process;
#[path = "server.rs"]
#[expect(dead_code, reason = "tests need more of it")]
mod server;
#[path = "stage.rs"]
mod stage;
#[path = "transcript.rs"]
mod transcript;
#[path = "wait.rs"]
mod wait;
#[path = "webhook.rs"]
mod webhook;

use std::io::{Write as _, stdout};

use clusterprofile_webhook::{crd, manifest};

use self::{assets::Assets, control_plane::ControlPlane, transcript::Session};

fn main() -> anyhow::Result<()> {
    let Some(assets) = Assets::find() else {
        println!("demo: `make control-plane` builds the API server that the rest wants");
        return Ok(());
    };
    println!("The same through kubectl. etcd, kube-apiserver and the webhook start ...\n");
    let crd = manifest::read(crd::yaml().as_bytes()).0.into_iter().map(|document| document.object);
    let plane = ControlPlane::start(&assets, "demo", &crd.collect::<Vec<_>>());
    let webhook = stage::set(&plane);
    let mut session = Session::start(&plane.kubectl(), &stage::directory("demo", &plane));
    for command in transcript::commands(include_str!("../transcripts/demo.console")) {
        print!("{}", session.run(&command));
        stdout().flush()?;
    }
    drop((session, webhook));
    plane.forget();
    Ok(())
}
