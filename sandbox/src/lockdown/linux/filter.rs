//! seccomp: every system call but those on a list is refused, on all threads.
//!
//! What is refused answers `EPERM`. Killing the process instead would turn every call that glibc or V8 makes once in a
//! while, and does without, into the end of a worker with all calls that run in it, and would protect no more: the filter
//! answers before the kernel looks at a call. `ENOSYS` would make libraries try the older way to the same end. Only a
//! call by the conventions of another architecture kills: it cannot be a mistake.

use std::collections::BTreeMap;
use std::ffi::c_long;
use std::process;

use seccompiler::{
    BackendError, BpfProgram, Error, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule, TargetArch,
};

use crate::lockdown::State;

/// Allowed whatever their arguments.
const ALLOWED: &[c_long] = &[
    // Memory: V8's heaps and compiled code, which must become executable; malloc; stacks of threads that end.
    libc::SYS_mmap,
    libc::SYS_munmap,
    libc::SYS_mprotect,
    libc::SYS_mremap,
    libc::SYS_madvise,
    libc::SYS_brk,
    libc::SYS_membarrier,
    // V8 keeps its code apart by a protection key where the processor has them.
    libc::SYS_pkey_mprotect,
    // Threads: locks, turns, the beginning of one that was just made, the end.
    libc::SYS_futex,
    libc::SYS_sched_yield,
    libc::SYS_sched_getaffinity,
    // V8's locks ask for the priority of their thread. Of another process it tells as much, and no more.
    libc::SYS_sched_getscheduler,
    libc::SYS_sched_getparam,
    libc::SYS_getcpu,
    libc::SYS_getpid,
    libc::SYS_gettid,
    libc::SYS_set_robust_list,
    libc::SYS_rseq,
    libc::SYS_exit,
    libc::SYS_exit_group,
    libc::SYS_restart_syscall,
    // Signals to itself: overflows of the stack, and abort.
    libc::SYS_rt_sigaction,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn,
    libc::SYS_sigaltstack,
    // Time and chance.
    libc::SYS_nanosleep,
    libc::SYS_gettimeofday,
    libc::SYS_getrandom,
    // The sockets that are there, and others that come over them.
    libc::SYS_read,
    libc::SYS_write,
    libc::SYS_readv,
    libc::SYS_writev,
    libc::SYS_recvfrom,
    libc::SYS_sendto,
    libc::SYS_recvmsg,
    libc::SYS_sendmsg,
    libc::SYS_getsockopt,
    libc::SYS_shutdown,
    libc::SYS_close,
    // Waiting for them; tokio's pollers are there already.
    libc::SYS_ppoll,
    libc::SYS_epoll_ctl,
    libc::SYS_epoll_pwait,
    libc::SYS_epoll_pwait2,
];

/// The older of two calls that do the same, which 64-bit ARM never had.
#[cfg(target_arch = "x86_64")]
const ALLOWED_BY_AGE: &[c_long] = &[libc::SYS_poll, libc::SYS_epoll_wait, libc::SYS_time];
#[cfg(not(target_arch = "x86_64"))]
const ALLOWED_BY_AGE: &[c_long] = &[];

/// An argument that has to have a value: its place, how much of its register counts, how it is compared, and the value.
type Argument = (u8, SeccompCmpArgLen, SeccompCmpOp, u64);

/// An argument of which the kernel takes the lower half.
fn number(place: u8, value: i64) -> Argument {
    (place, SeccompCmpArgLen::Dword, SeccompCmpOp::Eq, value.unsigned_abs())
}

/// The same, where some of its bits decide.
fn bits(place: u8, mask: u64, value: u64) -> Argument {
    (place, SeccompCmpArgLen::Dword, SeccompCmpOp::MaskedEq(mask), value)
}

/// An address that leads nowhere.
fn null(place: u8) -> Argument {
    (place, SeccompCmpArgLen::Qword, SeccompCmpOp::Eq, 0)
}

/// Set in the names of clocks that measure what a process or thread has computed.
const CLOCK_OF_ONE: u64 = 1 << 31;
/// Set in those of threads besides. The kernel shows only the ones of the same process.
const CLOCK_OF_A_THREAD: u64 = 1 << 2;

/// Allowed with one of these lists of arguments.
fn allowed_with() -> Vec<(c_long, Vec<Vec<Argument>>)> {
    let first_is = |value: i64| vec![vec![number(0, value)]];
    let second_is = |values: &[i64]| values.iter().map(|value| vec![number(1, *value)]).collect();
    let option = |name: i32| vec![number(1, libc::SOL_SOCKET.into()), number(2, name.into())];
    let of_descriptors = [libc::F_GETFD, libc::F_SETFD, libc::F_GETFL, libc::F_SETFL, libc::F_DUPFD_CLOEXEC];
    let of_a_thread = CLOCK_OF_ONE | CLOCK_OF_A_THREAD;
    // Clocks of the system, and of its own threads for the limit on CPU time. What another process computes is not its
    // business.
    let clocks = || vec![vec![bits(0, CLOCK_OF_ONE, 0)], vec![bits(0, of_a_thread, of_a_thread)]];
    vec![
        (libc::SYS_clock_gettime, clocks()),
        (libc::SYS_clock_getres, clocks()),
        (libc::SYS_clock_nanosleep, clocks()),
        // To a thread of its own, for abort. No other process, not even to ask whether it is there.
        (libc::SYS_tgkill, first_is(process::id().into())),
        // Reading its own limits: glibc does so for the size of a stack. The third argument would be a new limit.
        (libc::SYS_prlimit64, vec![vec![number(0, 0), null(2)]]),
        // The name of a thread that has just begun.
        (libc::SYS_prctl, first_is(libc::PR_SET_NAME.into())),
        // Of a socket whether it blocks and what becomes of it at exec. Nothing of a terminal: what is written into its
        // input, its shell runs.
        (libc::SYS_ioctl, second_is(&[libc::FIONBIO as i64, libc::FIOCLEX as i64])),
        (libc::SYS_fcntl, second_is(&of_descriptors.map(i64::from))),
        // How long a socket waits.
        (libc::SYS_setsockopt, vec![option(libc::SO_RCVTIMEO), option(libc::SO_SNDTIMEO)]),
    ]
}

/// Puts the filter on all threads of the process.
pub fn apply() -> Result<State, String> {
    let (program, count) = program().map_err(|error| error.to_string())?;
    match seccompiler::apply_filter_all_threads(&program) {
        Ok(()) => Ok(State::As(format!("{count} system calls"))),
        Err(Error::Seccomp(error)) => Err(format!("not in this kernel, or forbidden to this container: {error}")),
        Err(error) => Err(error.to_string()),
    }
}

/// The filter, and how many system calls it allows.
fn program() -> Result<(BpfProgram, usize), BackendError> {
    let mut rules: BTreeMap<c_long, Vec<SeccompRule>> = BTreeMap::new();
    rules.extend(ALLOWED.iter().chain(ALLOWED_BY_AGE).map(|number| (*number, Vec::new())));
    for (number, lists) in allowed_with() {
        let lists: Result<_, _> = lists.into_iter().map(rule).collect();
        rules.insert(number, lists?);
    }
    let count = rules.len();
    let arch = TargetArch::try_from(std::env::consts::ARCH)?;
    let refusal = SeccompAction::Errno(libc::EPERM.unsigned_abs());
    let filter = SeccompFilter::new(rules, refusal, SeccompAction::Allow, arch)?;
    Ok((BpfProgram::try_from(filter)?, count))
}

fn rule(arguments: Vec<Argument>) -> Result<SeccompRule, BackendError> {
    let conditions = arguments
        .into_iter()
        .map(|(place, length, comparison, value)| SeccompCondition::new(place, length, comparison, value));
    SeccompRule::new(conditions.collect::<Result<_, _>>()?)
}
