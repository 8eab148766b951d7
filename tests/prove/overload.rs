//! Nobody who sends too much, or too slowly, keeps the API server out, or takes more memory than there is.

use super::{Proof, account::Account, control_plane::ControlPlane, writers::Writers};

use self::{attacks::ATTACKS, target::Target};

#[path = "overload/attacks.rs"]
mod attacks;
#[path = "overload/caller.rs"]
mod caller;
#[path = "overload/flood.rs"]
mod flood;
#[path = "overload/target.rs"]
mod target;

pub(crate) fn prove(plane: &ControlPlane) -> Proof {
    let mut account = Account::new(plane);
    let target = Target::start(plane, "flooded", &flood::FLAGS);
    let (told, mut broken) = flood::flooded(&target, &mut account);
    println!("{told}");
    drop(target);
    // The Deployment's own limits.
    let target = Target::start(plane, "attacked", &[]);
    for attack in &ATTACKS {
        broken.extend(attack.made(&target, &mut account));
    }
    drop(target);
    broken.extend(account.broken());
    Proof { total: account.total(), broken, figures: format!("{}\n{told}\n", account.table()) }
}

/// What `writers` met while others did `what` is told, and how much memory that took. No call may have failed.
fn close(what: &str, target: &Target<'_>, account: &mut Account<'_>, writers: &Writers<'_>) -> Vec<String> {
    /// In MB.
    const MOST: u64 = 128;
    let peak = target.replica.peak_memory().div_ceil(1_000_000);
    account.close(&format!("{what}: {peak} MB at the most"), writers, 0);
    Vec::from_iter((peak >= MOST).then(|| format!("{what}: the process has taken {peak} MB of memory")))
}
