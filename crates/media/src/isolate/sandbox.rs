//! Confines a process that reads foreign bytes: it may read its one file, compute, and use its pipes.
//!
//! Each protection is used as far as the kernel supports it: Landlock (Linux 5.13, network 6.7) for files and network,
//! a seccomp filter for system calls, `RLIMIT_DATA` for memory, `RLIMIT_FSIZE` for written files. The filter lists what is forbidden, not what
//! is allowed: an allow list breaks with the next version of the C library, on a farm where no one can fix it.

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
    Confinement { memory: limit(memory_bytes), files: files(path), system_calls: system_calls() }
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

#[cfg(target_os = "linux")]
fn files(path: &Path) -> bool {
    use landlock::{
        ABI, Access as _, AccessFs, AccessNet, PathBeneath, PathFd, Ruleset, RulesetAttr as _,
        RulesetCreatedAttr as _, RulesetError, RulesetStatus,
    };
    let restrict = || -> Result<RulesetStatus, RulesetError> {
        let rules = Ruleset::default()
            .handle_access(AccessFs::from_all(ABI::V5))?
            .handle_access(AccessNet::from_all(ABI::V5))?
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

#[cfg(target_os = "linux")]
fn system_calls() -> bool {
    use seccompiler::{BpfProgram, SeccompAction, SeccompFilter};
    let filter = || -> Option<BpfProgram> {
        let architecture = std::env::consts::ARCH.try_into().ok()?;
        // As if the kernel were too old: then the C library uses the older call, if there is one.
        let refuse = SeccompAction::Errno(libc::ENOSYS.cast_unsigned());
        let filter = SeccompFilter::new(forbidden()?, SeccompAction::Allow, refuse, architecture).ok()?;
        filter.try_into().ok()
    };
    filter().is_some_and(|filter| seccompiler::apply_filter(&filter).is_ok())
}

#[cfg(target_os = "linux")]
fn forbidden() -> Option<std::collections::BTreeMap<i64, Vec<seccompiler::SeccompRule>>> {
    use seccompiler::SeccompCmpArgLen::Dword;
    use seccompiler::SeccompCmpOp::MaskedEq;
    use seccompiler::{SeccompCondition, SeccompRule};
    let rule = |argument, mask: i32, value: i32| {
        let (mask, value) = (mask.cast_unsigned().into(), value.cast_unsigned().into());
        SeccompRule::new(vec![SeccompCondition::new(argument, Dword, MaskedEq(mask), value).ok()?]).ok()
    };
    let always = [
        // Other programs and processes.
        libc::SYS_execve,
        libc::SYS_execveat,
        libc::SYS_clone3,
        libc::SYS_ptrace,
        libc::SYS_process_vm_readv,
        libc::SYS_process_vm_writev,
        libc::SYS_kill,
        libc::SYS_pidfd_open,
        libc::SYS_pidfd_getfd,
        libc::SYS_pidfd_send_signal,
        // Connections.
        libc::SYS_socket,
        libc::SYS_socketpair,
        libc::SYS_connect,
        libc::SYS_bind,
        libc::SYS_listen,
        // Files, without Landlock: the one file is only read.
        libc::SYS_openat2,
        libc::SYS_open_by_handle_at,
        libc::SYS_unlinkat,
        libc::SYS_renameat2,
        libc::SYS_linkat,
        libc::SYS_symlinkat,
        libc::SYS_mkdirat,
        libc::SYS_mknodat,
        libc::SYS_fchmod,
        libc::SYS_fchmodat,
        libc::SYS_fchownat,
        libc::SYS_truncate,
        libc::SYS_setxattr,
        libc::SYS_memfd_create,
        // The kernel's larger attack surfaces.
        libc::SYS_mount,
        libc::SYS_umount2,
        libc::SYS_chroot,
        libc::SYS_pivot_root,
        libc::SYS_unshare,
        libc::SYS_setns,
        libc::SYS_bpf,
        libc::SYS_perf_event_open,
        libc::SYS_userfaultfd,
        libc::SYS_io_uring_setup,
        libc::SYS_add_key,
        libc::SYS_request_key,
        libc::SYS_keyctl,
        libc::SYS_init_module,
        libc::SYS_finit_module,
        libc::SYS_kexec_load,
    ];
    #[cfg(target_arch = "x86_64")]
    let always = always.into_iter().chain([
        libc::SYS_fork,
        libc::SYS_vfork,
        libc::SYS_creat,
        libc::SYS_unlink,
        libc::SYS_rename,
        libc::SYS_renameat,
        libc::SYS_link,
        libc::SYS_symlink,
        libc::SYS_mkdir,
        libc::SYS_rmdir,
        libc::SYS_chmod,
        libc::SYS_chown,
    ]);
    let mut forbidden: std::collections::BTreeMap<_, _> =
        always.into_iter().map(|call| (call, Vec::new())).collect();
    // Threads, but not processes.
    forbidden.insert(libc::SYS_clone, vec![rule(0, libc::CLONE_THREAD, 0)?]);
    let to_write = |flags| {
        Some(vec![
            rule(flags, libc::O_ACCMODE, libc::O_WRONLY)?,
            rule(flags, libc::O_ACCMODE, libc::O_RDWR)?,
            rule(flags, libc::O_CREAT, libc::O_CREAT)?,
        ])
    };
    forbidden.insert(libc::SYS_openat, to_write(2)?);
    #[cfg(target_arch = "x86_64")]
    forbidden.insert(libc::SYS_open, to_write(1)?);
    Some(forbidden)
}

#[cfg(not(target_os = "linux"))]
fn files(_: &Path) -> bool {
    false
}

#[cfg(not(target_os = "linux"))]
fn system_calls() -> bool {
    false
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;
    use std::fs::{File, OpenOptions};
    use std::io::{Read as _, Write as _};
    use std::net::{TcpStream, UdpSocket};
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
        let (mut reading_end, mut writing_end) = std::io::pipe().unwrap();
        // Both protections apply to the calling thread only: the test continues unconfined.
        std::thread::spawn(move || {
            let (has_files, has_calls) = (files(&own), system_calls());
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
            assert!(Command::new("/bin/true").status().is_err());
            drop(folder);
        })
        .join()
        .unwrap();
        let mut said = String::new();
        reading_end.read_to_string(&mut said).unwrap();
        assert_eq!(said, "still here");
    }
}
