//! Runs the command line, and maps its result to an exit code.

use std::process::ExitCode;

use clusterprofile_webhook::error::error_chain;
use tikv_jemallocator::Jemalloc;

mod cli;
mod logging;

/// The heap, which must go back to the system after a flood: a Pod has a memory limit, and a webhook is mostly idle.
///
/// `.cargo/config.toml` sets that a thread of jemalloc's own gives back pages that nobody has used for a second, wherever in the
/// heap they are, and that all threads share one arena. Without that thread only the next allocations would give pages back,
/// and those of an idle webhook are few.
///
/// MB resident above idle, ten seconds after reviews of 8 MiB of the worst shapes, 16 and 64 at a time, and after 1000
/// connections that were open at a time:
///
/// | allocator | idle | reviews | connections |
/// | --- | --- | --- | --- |
/// | glibc | 14 | 12 | 55 |
/// | glibc with `MALLOC_ARENA_MAX=1`, `MALLOC_TRIM_THRESHOLD_=1048576` | 14 | 4 | 59 |
/// | mimalloc 3.3.2 | 26 | 32 | 66 |
/// | jemalloc 5.3.1, as it is set | 15 | 2 | 4 |
///
/// glibc returns the end of its heap alone, which one small allocation pins. mimalloc has no thread that returns anything. An
/// immediate return (`dirty_decay_ms:0`) costs 15 page faults for each review of 36 KB. `check` executes 8 % fewer
/// instructions for a profile of 3 KB than with glibc, and 3 % fewer for one of 36 KB. The binary is 0.4 MB larger.
#[global_allocator]
static HEAP: Jemalloc = Jemalloc;

fn main() -> ExitCode {
    match cli::Cli::read().run() {
        Ok(code) => code,
        Err(error) => {
            cli::print_error(error_chain(error.as_ref()));
            ExitCode::FAILURE
        }
    }
}
