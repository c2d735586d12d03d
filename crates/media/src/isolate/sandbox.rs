//! Confines a process that reads foreign bytes: it may read its one file, compute, and use its pipes.
//!
//! Each protection is used as far as the kernel supports it: Landlock (Linux 5.13, network 6.7, signals 6.12) for files, network and signals,
//! seccomp for system calls (`sandbox/system_calls.rs` lists those that are left), `RLIMIT_DATA` for memory, `RLIMIT_FSIZE` for written files. A
//! process that was started by root gives up what root may do, except to read a file that is root's alone.

mod system_calls;

use serde::{Deserialize, Serialize};
use std::fmt;
use std::path::Path;

/// The active protections.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Confinement {
    /// No other file can be opened.
    pub files: bool,
    /// No program can be started and no connection made.
    pub system_calls: bool,
    /// It can't use more memory than its limit.
    pub memory: bool,
    /// It isn't root, and can't become it.
    pub user: bool,
}

impl fmt::Display for Confinement {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        let said = [
            (self.files, "no other file", "other files (this kernel has no Landlock)"),
            (
                self.system_calls,
                "no other program or connection",
                "system calls (this kernel has no seccomp)",
            ),
            (self.memory, "no more memory than allowed", "memory (the limit could not be set)"),
            (self.user, "nothing that only root may do", "what root may do (another user could not be set)"),
        ];
        let list = |of: bool| -> Vec<&str> {
            let chosen = said.iter().filter(|(holds, ..)| *holds == of);
            chosen.map(|(_, out_of_reach, open)| if of { *out_of_reach } else { *open }).collect()
        };
        write!(to, "they reach {}", list(true).join(", "))?;
        let open = list(false);
        if open.is_empty() { Ok(()) } else { write!(to, "; not held back from: {}", open.join(", ")) }
    }
}

/// Confines this thread, all threads it starts later, and this process's memory.
pub(super) fn confine(path: &Path, memory_bytes: u64) -> Confinement {
    // If memory runs short, the system should end this process rather than its owner. If that can't be set, the
    // larger one goes, as usual.
    let _unsaid = std::fs::write("/proc/self/oom_score_adj", "500");
    Confinement {
        memory: limit(memory_bytes),
        user: user(),
        files: files(path),
        system_calls: system_calls::restrict(),
    }
}

fn limit(memory_bytes: u64) -> bool {
    use rustix::process::{Resource, Rlimit, setrlimit};
    let limit =
        |resource, most| setrlimit(resource, Rlimit { current: Some(most), maximum: Some(most) }).is_ok();
    // A core dump would write foreign bytes, and more than there is space for.
    let _without = limit(Resource::Core, 0);
    let _without = limit(Resource::Fsize, 0);
    limit(Resource::Data, memory_bytes)
}

/// Becomes nobody, if it is root. Of what root may do, reading files stays: a recorder's share may be root's alone, and Landlock leaves only the one
/// file. Applies to this thread and those that it starts later.
#[cfg(target_os = "linux")]
fn user() -> bool {
    use rustix::process::{Gid, Uid, geteuid};
    use rustix::thread::{
        CapabilitySet, CapabilitySets, remove_capability_from_bounding_set, set_capabilities,
        set_keep_capabilities, set_thread_groups, set_thread_res_gid, set_thread_res_uid,
    };
    const NOBODY: u32 = 65_534;
    if !geteuid().is_root() {
        return true;
    }
    let left = CapabilitySet::DAC_READ_SEARCH;
    let become_nobody = || -> rustix::io::Result<()> {
        for capability in CapabilitySet::all().iter() {
            // One that this kernel doesn't know.
            let _unknown = remove_capability_from_bounding_set(capability);
        }
        set_keep_capabilities(true)?;
        let (user, group) = (Uid::from_raw(NOBODY), Gid::from_raw(NOBODY));
        set_thread_groups(&[])?;
        set_thread_res_gid(group, group, group)?;
        set_thread_res_uid(user, user, user)?;
        let sets = CapabilitySets { effective: left, permitted: left, inheritable: CapabilitySet::empty() };
        set_capabilities(None, sets)
    };
    become_nobody().is_ok()
}

#[cfg(not(target_os = "linux"))]
fn user() -> bool {
    false
}

#[cfg(target_os = "linux")]
fn files(path: &Path) -> bool {
    use landlock::{
        ABI, Access as _, AccessFs, AccessNet, PathBeneath, PathFd, Ruleset, RulesetAttr as _,
        RulesetCreatedAttr as _, RulesetError, RulesetStatus, Scope,
    };
    // A kernel that knows less restricts what it knows.
    const NEWEST: ABI = ABI::V6;
    let restrict = || -> Result<RulesetStatus, RulesetError> {
        let rules = Ruleset::default()
            .handle_access(AccessFs::from_all(NEWEST))?
            .handle_access(AccessNet::from_all(NEWEST))?
            // No signals to other processes, no sockets of theirs without a path.
            .scope(Scope::from_all(NEWEST))?
            .create()?;
        let rules = match PathFd::new(path) {
            Ok(file) => rules.add_rule(PathBeneath::new(file, AccessFs::ReadFile))?,
            // The path is gone meanwhile: then reading fails and reports it.
            Err(_) => rules,
        };
        Ok(rules.restrict_self()?.ruleset)
    };
    restrict().is_ok_and(|status| status != RulesetStatus::NotEnforced)
}

#[cfg(not(target_os = "linux"))]
fn files(_: &Path) -> bool {
    false
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;
    use rustix::process::{Pid, Resource, Rlimit, Signal, Uid};
    use std::fs::{File, OpenOptions};
    use std::io::{Read as _, Write as _};
    use std::net::{TcpStream, UdpSocket};
    use std::os::unix::net::UnixStream;
    use std::process::Command;

    #[test]
    fn a_sandboxed_thread_reads_its_file_computes_and_can_do_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let [own, other] = ["own.mp4", "other.mp4"].map(|name| {
            let path = folder.path().join(name);
            std::fs::write(&path, name).unwrap();
            path
        });
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let mut victim = Command::new("sleep").arg("600").spawn().unwrap();
        let other_process = Pid::from_raw(victim.id().cast_signed()).unwrap();
        let (mut reading_end, mut writing_end) = std::io::pipe().unwrap();
        // Both protections apply to the calling thread only: the test continues unconfined.
        std::thread::spawn(move || {
            let (is_nobody, has_files, has_calls) = (user(), files(&own), system_calls::restrict());
            assert!(is_nobody && !rustix::process::geteuid().is_root());
            assert!(has_calls, "every kernel since 2012 has seccomp");
            let mut text = String::new();
            File::open(&own).unwrap().read_to_string(&mut text).unwrap();
            assert_eq!(text, "own.mp4");
            let helper = std::thread::spawn(|| (0..1000_u64).sum::<u64>());
            assert_eq!(helper.join().unwrap(), 499_500);
            writing_end.write_all(b"still here").unwrap();

            assert!(!has_files || File::open(&other).is_err());
            assert!(!has_files || File::open("/etc/passwd").is_err());
            assert!(OpenOptions::new().write(true).open(&own).is_err());
            assert!(File::create(folder.path().join("new")).is_err());
            assert!(std::fs::remove_file(&own).is_err());
            assert!(std::fs::rename(&own, &other).is_err());
            assert!(TcpStream::connect(address).is_err());
            assert!(UdpSocket::bind("127.0.0.1:0").is_err());
            assert!(UnixStream::pair().is_err());
            assert!(Command::new("/bin/true").status().is_err());
            // Other processes, although they are of the same user or were.
            assert!(rustix::process::kill_process(other_process, Signal::KILL).is_err());
            assert!(rustix::process::test_kill_process(other_process).is_err());
            assert!(rustix::process::kill_process(rustix::process::getpid(), Signal::TERM).is_err());
            assert!(rustix::process::setpriority_process(Some(other_process), 19).is_err());
            assert!(rustix::process::setpriority_process(None, 19).is_err());
            let none = Rlimit { current: Some(1), maximum: Some(1) };
            assert!(rustix::process::prlimit(Some(other_process), Resource::Nofile, none).is_err());
            let none = Rlimit { current: Some(1), maximum: Some(1) };
            assert!(rustix::process::setrlimit(Resource::Nofile, none).is_err());
            assert!(
                rustix::process::pidfd_open(other_process, rustix::process::PidfdFlags::empty()).is_err()
            );
            // What a file is, apart from its bytes.
            let epoch = rustix::fs::Timespec { tv_sec: 0, tv_nsec: 0 };
            let times = rustix::fs::Timestamps { last_access: epoch, last_modification: epoch };
            let here = rustix::fs::CWD;
            assert!(rustix::fs::utimensat(here, &own, &times, rustix::fs::AtFlags::empty()).is_err());
            assert!(rustix::fs::chmod(&own, rustix::fs::Mode::RWXU).is_err());
            let link_itself = rustix::fs::AtFlags::SYMLINK_NOFOLLOW;
            let nobody = Some(rustix::fs::Uid::from_raw(1));
            assert!(rustix::fs::chownat(here, &own, nobody, None, link_itself).is_err());
            assert!(rustix::fs::ftruncate(File::open(&own).unwrap(), 0).is_err());
            assert!(
                rustix::fs::fcntl_lock(
                    File::open(&own).unwrap(),
                    rustix::fs::FlockOperation::NonBlockingLockShared
                )
                .is_err()
            );
            assert!(rustix::fs::memfd_create("m", rustix::fs::MemfdFlags::empty()).is_err());
            assert!(rustix::fs::link(&own, &other).is_err());
            assert!(rustix::fs::symlink(&own, &other).is_err());
            assert!(rustix::fs::mkdir(&other, rustix::fs::Mode::RWXU).is_err());
            assert!(std::fs::read_dir(folder.path()).is_err());
            // To become more.
            assert!(rustix::thread::set_thread_res_uid(Uid::ROOT, Uid::ROOT, Uid::ROOT).is_err());
            assert!(rustix::process::setsid().is_err());
            assert!(rustix::process::chdir("/").is_err());
            drop(folder);
        })
        .join()
        .unwrap();
        let mut said = String::new();
        reading_end.read_to_string(&mut said).unwrap();
        assert_eq!(said, "still here");
        assert!(victim.try_wait().unwrap().is_none(), "it still runs");
        victim.kill().unwrap();
        victim.wait().unwrap();
    }
}
