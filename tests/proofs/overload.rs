//! No client that sends too much or too slowly blocks the API server, or makes the webhook exceed its memory.

use testkit::{control_plane::ControlPlane, writers::Writers};

use super::{Proof, account::Account};

use self::{
    attacks::ATTACKS,
    churn::CHURNS,
    target::{Measured, Target},
};

mod attacks;
mod caller;
mod churn;
mod flood;
mod probes;
mod sockets;
mod target;
mod worst;

pub(crate) fn prove(plane: &ControlPlane) -> Proof {
    let mut account = Account::new(plane);
    let target = Target::start(plane, "flooded", &flood::FLAGS);
    let (flooded, mut broken) = flood::flooded(&target, &mut account);
    println!("{flooded}");
    drop(target);
    // The limits of the Deployment.
    let target = Target::start(plane, "attacked", &[]);
    let idle = target.replica.memory();
    for attack in &ATTACKS {
        broken.extend(attack.made(&target, &mut account));
    }
    for churn in &CHURNS {
        broken.extend(churn.made(&target, &mut account));
    }
    // Only a figure, because it includes the connections that clients keep.
    let (given_back, _) = target.gives_back(idle);
    let given_back = format!("When all attacks had ended, {given_back}.");
    println!("{given_back}");
    drop(target);
    let target = Target::start(plane, "worst", &[]);
    let (worst, not_held) = worst::sent(&target, &mut account);
    println!("{worst}");
    broken.extend(not_held);
    drop(target);
    broken.extend(account.broken());
    Proof {
        total: account.total(),
        broken,
        figures: format!("{}\n{flooded}\n\n{given_back}\n\n{worst}\n", account.table()),
    }
}

/// Maximum memory of a process, and of the kernel for its sockets.
const MEMORY: u64 = 128;
const SOCKETS: u64 = 128;

/// Adds the results of `writers` during the attack `what` to the account. Returns a line for each broken promise: no
/// call may have failed, and `measured` must be within its limits.
fn close(what: &str, measured: Measured, account: &mut Account<'_>, writers: &Writers<'_>) -> Vec<String> {
    close_within(MEMORY, what, measured, account, writers)
}

/// As [`close`], with a limit in MB for the process.
fn close_within(
    most: u64,
    what: &str,
    measured: Measured,
    account: &mut Account<'_>,
    writers: &Writers<'_>,
) -> Vec<String> {
    let megabytes = |bytes: u64| bytes.div_ceil(1_000_000);
    let Measured { memory, sockets, mut probes } = measured;
    let (memory, sockets) = (megabytes(memory), megabytes(sockets));
    let write_millis = writers.take_p99().as_millis();
    let step = format!(
        "{what}: {memory} MB at the most, {sockets} MB in sockets; 99 % of {} probes within {} ms, of writes within {write_millis} ms",
        probes.count(),
        probes.p99().as_millis(),
    );
    account.close(&step, writers, 0);
    let mut broken = probes.broken();
    if memory >= most {
        broken.push(format!("{what}: the process has taken {memory} MB of memory"));
    }
    if sockets >= SOCKETS {
        broken.push(format!("{what}: its sockets have taken {sockets} MB of memory"));
    }
    broken
}
