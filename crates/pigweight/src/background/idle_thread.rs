//! Threads whose work gives way to what somebody waits for.
//!
//! On Linux they are scheduled as idle (`SCHED_IDLE`, sched(7)): they have what nobody else wants, and whoever wakes up takes the core from them at once. That is
//! handed on to the threads and processes that they start: to decoders that an analysis starts, to the processes that read its files. Elsewhere nothing
//! is changed. With niceness, even the most of it, each frame that a decoder's threads hand over to one another waited for
//! the end of somebody's slice (`docs/design/0011-inference.md` has the figures).

use std::io;
use std::thread::{Builder, JoinHandle};

/// Starts a thread that gives way.
pub fn spawn<T: Send + 'static>(
    name: &str,
    work: impl FnOnce() -> T + Send + 'static,
) -> io::Result<JoinHandle<T>> {
    Builder::new().name(name.to_owned()).spawn(move || {
        give_way();
        work()
    })
}

/// From now on this thread gives way. There is no way back: the system lets no thread of a user rise again.
pub fn give_way() {
    #[cfg(target_os = "linux")]
    {
        use thread_priority::{NormalThreadSchedulePolicy, ThreadPriority, ThreadSchedulePolicy, unix};
        let idle = ThreadSchedulePolicy::Normal(NormalThreadSchedulePolicy::Idle);
        let told = unix::set_thread_priority_and_policy(unix::thread_native_id(), ThreadPriority::Min, idle);
        if let Err(error) = told {
            tracing::debug!("background work runs beside what is waited for: {error}");
        }
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    /// Field 41 of proc(5)'s stat, counted from the name's end.
    fn policy_of(stat: &str) -> Option<u32> {
        stat.rsplit_once(')')?.1.split_whitespace().nth(38)?.parse().ok()
    }

    #[test]
    fn what_gives_way_is_idle_with_the_processes_that_it_starts() {
        const SCHED_IDLE: u32 = 5;
        let read = || {
            let own = std::fs::read_to_string("/proc/thread-self/stat").expect("Linux tells it");
            let started =
                std::process::Command::new("cat").arg("/proc/self/stat").output().expect("cat is there");
            [own, String::from_utf8_lossy(&started.stdout).into_owned()].map(|stat| policy_of(&stat))
        };
        let idle = spawn("idle", read).expect("a thread").join().expect("it ends");
        assert_eq!(idle, [Some(SCHED_IDLE); 2]);
        assert_eq!(read(), [Some(0); 2], "nobody else is");
    }
}
