//! Threads that yield the processor to interactive work.
//!
//! On Linux they are scheduled as idle (`SCHED_IDLE`, sched(7)): they run only when no other thread needs the core, and a thread that wakes up
//! takes it from them at once. Threads and processes that they start inherit this: an analysis's decoders and the worker processes that read its files. On other
//! systems nothing changes. With niceness, even 19, each frame that a decoder's threads pass on would wait for
//! the end of a time slice (`docs/design/0011-inference.md` has the figures).

use std::io;
use std::thread::{Builder, JoinHandle};

/// Starts an idle thread.
pub fn spawn<T: Send + 'static>(
    name: &str,
    work: impl FnOnce() -> T + Send + 'static,
) -> io::Result<JoinHandle<T>> {
    Builder::new().name(name.to_owned()).spawn(move || {
        give_way();
        work()
    })
}

/// Makes this thread idle. This can't be undone: the system doesn't let a user's thread raise its priority.
pub fn give_way() {
    #[cfg(target_os = "linux")]
    {
        use thread_priority::{NormalThreadSchedulePolicy, ThreadPriority, ThreadSchedulePolicy, unix};
        let idle = ThreadSchedulePolicy::Normal(NormalThreadSchedulePolicy::Idle);
        let result =
            unix::set_thread_priority_and_policy(unix::thread_native_id(), ThreadPriority::Min, idle);
        if let Err(error) = result {
            tracing::debug!("background work runs beside what is waited for: {error}");
        }
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    /// Field 41 of proc(5)'s stat, counted from the end of the name.
    fn policy_of(stat: &str) -> Option<u32> {
        stat.rsplit_once(')')?.1.split_whitespace().nth(38)?.parse().ok()
    }

    #[test]
    fn background_threads_and_their_child_processes_have_idle_priority() {
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
