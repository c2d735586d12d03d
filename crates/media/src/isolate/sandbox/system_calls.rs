//! Allow-list of the system calls of a confined process: computing, reading its file, using its pipes.
//!
//! Any other call is refused as if the kernel were too old for it (`ENOSYS`). The C library then takes an older call, if there is one, so a newer library
//! than the one that this list was made with keeps working.

/// Restricts this thread and those that it starts later. Returns whether the kernel does it.
#[cfg(target_os = "linux")]
pub(super) fn restrict() -> bool {
    use seccompiler::{BpfProgram, SeccompAction, SeccompFilter};
    let filter = || -> Option<BpfProgram> {
        let architecture = std::env::consts::ARCH.try_into().ok()?;
        let refuse = SeccompAction::Errno(libc::ENOSYS.cast_unsigned());
        let filter = SeccompFilter::new(allowed()?, refuse, SeccompAction::Allow, architecture).ok()?;
        filter.try_into().ok()
    };
    filter().is_some_and(|filter| seccompiler::apply_filter(&filter).is_ok())
}

#[cfg(not(target_os = "linux"))]
pub(super) fn restrict() -> bool {
    false
}

#[cfg(target_os = "linux")]
fn allowed() -> Option<std::collections::BTreeMap<i64, Vec<seccompiler::SeccompRule>>> {
    use seccompiler::SeccompCmpArgLen::{Dword, Qword};
    use seccompiler::SeccompCmpOp::{Eq, MaskedEq};
    use seccompiler::{SeccompCondition, SeccompRule};

    let always = [
        // Files and pipes that are open.
        libc::SYS_read,
        libc::SYS_write,
        libc::SYS_readv,
        libc::SYS_writev,
        libc::SYS_pread64,
        libc::SYS_preadv,
        libc::SYS_lseek,
        libc::SYS_close,
        libc::SYS_fstat,
        libc::SYS_fstatfs,
        libc::SYS_fadvise64,
        libc::SYS_readahead,
        libc::SYS_dup,
        libc::SYS_dup3,
        libc::SYS_ppoll,
        // What a path names; Landlock leaves the one file.
        libc::SYS_newfstatat,
        libc::SYS_statx,
        libc::SYS_statfs,
        libc::SYS_faccessat,
        libc::SYS_readlinkat,
        libc::SYS_getcwd,
        // Memory.
        libc::SYS_brk,
        libc::SYS_mmap,
        libc::SYS_munmap,
        libc::SYS_mprotect,
        libc::SYS_mremap,
        libc::SYS_madvise,
        libc::SYS_membarrier,
        // Threads of this process.
        libc::SYS_futex,
        libc::SYS_set_robust_list,
        libc::SYS_get_robust_list,
        libc::SYS_set_tid_address,
        libc::SYS_rseq,
        libc::SYS_sched_yield,
        libc::SYS_sched_getaffinity,
        libc::SYS_sched_getparam,
        libc::SYS_sched_getscheduler,
        libc::SYS_getcpu,
        libc::SYS_exit,
        libc::SYS_exit_group,
        libc::SYS_restart_syscall,
        // Signals that this process handles: a stack overflow, an abort.
        libc::SYS_rt_sigaction,
        libc::SYS_rt_sigprocmask,
        libc::SYS_rt_sigreturn,
        libc::SYS_sigaltstack,
        // The time.
        libc::SYS_clock_gettime,
        libc::SYS_clock_getres,
        libc::SYS_clock_nanosleep,
        libc::SYS_nanosleep,
        libc::SYS_gettimeofday,
        libc::SYS_times,
        libc::SYS_getrusage,
        // Who and where this process is.
        libc::SYS_getpid,
        libc::SYS_gettid,
        libc::SYS_getppid,
        libc::SYS_getuid,
        libc::SYS_geteuid,
        libc::SYS_getgid,
        libc::SYS_getegid,
        libc::SYS_uname,
        libc::SYS_sysinfo,
        libc::SYS_getrandom,
    ];
    // Older forms of the same, which other architectures don't have.
    #[cfg(target_arch = "x86_64")]
    let always = always.into_iter().chain([
        libc::SYS_stat,
        libc::SYS_lstat,
        libc::SYS_access,
        libc::SYS_readlink,
        libc::SYS_poll,
        libc::SYS_dup2,
        libc::SYS_time,
        libc::SYS_arch_prctl,
    ]);
    let mut allowed: std::collections::BTreeMap<_, _> =
        always.into_iter().map(|call| (call, Vec::new())).collect();

    let rule = |conditions: Vec<Option<SeccompCondition>>| {
        SeccompRule::new(conditions.into_iter().collect::<Option<Vec<_>>>()?).ok()
    };
    let is = |argument, value: i64| SeccompCondition::new(argument, Dword, Eq, u64::from(value as u32)).ok();
    let has_bits = |argument, mask: i32, value: i32| {
        let (mask, value) = (mask.cast_unsigned().into(), value.cast_unsigned().into());
        SeccompCondition::new(argument, Dword, MaskedEq(mask), value).ok()
    };
    // Threads, but not processes. `clone3` hides its flags in memory and is refused.
    allowed.insert(libc::SYS_clone, vec![rule(vec![has_bits(0, libc::CLONE_THREAD, libc::CLONE_THREAD)])?]);
    let to_read = libc::O_ACCMODE | libc::O_CREAT | libc::O_TRUNC | (libc::O_TMPFILE & !libc::O_DIRECTORY);
    allowed.insert(libc::SYS_openat, vec![rule(vec![has_bits(2, to_read, libc::O_RDONLY)])?]);
    #[cfg(target_arch = "x86_64")]
    allowed.insert(libc::SYS_open, vec![rule(vec![has_bits(1, to_read, libc::O_RDONLY)])?]);
    // Properties of what is open: flags and copies, but no locks, leases or signals to its owner.
    let of_descriptors = [
        libc::F_GETFD,
        libc::F_SETFD,
        libc::F_GETFL,
        libc::F_SETFL,
        libc::F_DUPFD,
        libc::F_DUPFD_CLOEXEC,
        libc::F_GETPIPE_SZ,
    ];
    let of_descriptors = of_descriptors.map(|command| rule(vec![is(1, command.into())]));
    allowed.insert(libc::SYS_fcntl, of_descriptors.into_iter().collect::<Option<_>>()?);
    let of_terminals = [libc::TCGETS as i64, libc::FIONBIO as i64, libc::FIONREAD as i64];
    let of_terminals = of_terminals.map(|request| rule(vec![is(1, request)]));
    allowed.insert(libc::SYS_ioctl, of_terminals.into_iter().collect::<Option<_>>()?);
    // Names of threads and of memory.
    let names = [libc::PR_SET_NAME, libc::PR_GET_NAME, libc::PR_SET_VMA, libc::PR_GET_DUMPABLE];
    let names = names.map(|option| rule(vec![is(0, option.into())]));
    allowed.insert(libc::SYS_prctl, names.into_iter().collect::<Option<_>>()?);
    // Its own limits are read, and none is set.
    let sets_none = SeccompCondition::new(2, Qword, Eq, 0).ok();
    let of_itself = [0, i64::from(std::process::id())];
    let of_itself = of_itself.map(|process| rule(vec![is(0, process), sets_none.clone()]));
    allowed.insert(libc::SYS_prlimit64, of_itself.into_iter().collect::<Option<_>>()?);
    // `abort` sends itself a signal.
    let to_itself = rule(vec![is(0, std::process::id().into()), is(2, libc::SIGABRT.into())])?;
    allowed.insert(libc::SYS_tgkill, vec![to_itself]);
    Some(allowed)
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn calls_that_reach_beyond_the_process_are_not_among_them() {
        let allowed = allowed().unwrap();
        for call in [
            // Each by another way than the calls that the sandbox's own test makes.
            libc::SYS_tkill,
            libc::SYS_rt_sigqueueinfo,
            libc::SYS_rt_tgsigqueueinfo,
            libc::SYS_pidfd_send_signal,
            libc::SYS_process_vm_readv,
            libc::SYS_process_vm_writev,
            libc::SYS_process_madvise,
            libc::SYS_process_mrelease,
            libc::SYS_ptrace,
            libc::SYS_kcmp,
            libc::SYS_sched_setscheduler,
            libc::SYS_sched_setattr,
            libc::SYS_ioprio_set,
            libc::SYS_setpriority,
            libc::SYS_fchmodat,
            libc::SYS_fchmodat2,
            libc::SYS_fchownat,
            libc::SYS_utimensat,
            libc::SYS_setxattr,
            libc::SYS_fsetxattr,
            libc::SYS_fallocate,
            libc::SYS_renameat2,
            libc::SYS_copy_file_range,
            libc::SYS_sendfile,
            libc::SYS_splice,
            libc::SYS_shmget,
            libc::SYS_shmat,
            libc::SYS_semget,
            libc::SYS_msgget,
            libc::SYS_mq_open,
            libc::SYS_socket,
            libc::SYS_sendmsg,
            libc::SYS_recvmsg,
            libc::SYS_execve,
            libc::SYS_execveat,
            libc::SYS_clone3,
            libc::SYS_setuid,
            libc::SYS_setresuid,
            libc::SYS_capset,
            libc::SYS_seccomp,
            libc::SYS_bpf,
            libc::SYS_io_uring_setup,
            libc::SYS_userfaultfd,
            libc::SYS_perf_event_open,
            libc::SYS_mount,
            libc::SYS_mount_setattr,
            libc::SYS_fsopen,
            libc::SYS_open_tree,
            libc::SYS_unshare,
            libc::SYS_setns,
            libc::SYS_keyctl,
            libc::SYS_init_module,
            libc::SYS_syslog,
            libc::SYS_settimeofday,
            libc::SYS_clock_settime,
            libc::SYS_reboot,
            libc::SYS_inotify_init1,
            libc::SYS_fanotify_init,
            libc::SYS_getdents64,
        ] {
            assert!(!allowed.contains_key(&call), "{call}");
        }
        #[cfg(target_arch = "x86_64")]
        for call in [
            libc::SYS_fork,
            libc::SYS_vfork,
            libc::SYS_chmod,
            libc::SYS_lchown,
            libc::SYS_utimes,
            libc::SYS_creat,
        ] {
            assert!(!allowed.contains_key(&call), "{call}");
        }
    }
}
