//! One of each forbidden thing, tried.
//!
//! The calls go to the kernel itself: what a hostile script would use after it has broken out of V8. Each is made so that
//! the kernel's answer tells apart "forbidden" from "done" or "would be done", and so that it leaves nothing behind.

#![allow(unsafe_code, reason = "system calls that the standard library does not make")]

use std::ffi::{CStr, CString, c_int, c_long};
use std::net::Ipv4Addr;
use std::{io, ptr, thread};

use super::{Answer, Attempt, BOUNDS};
use crate::lockdown::linux::unexpected_variables;

/// A file that is always there and may be read and executed.
const PROGRAM: &CStr = c"/proc/self/exe";
/// A folder that anybody may write in.
const TEMPORARY: &CStr = c"/tmp";
/// The directory descriptor that stands for the current folder. As the kernel sees an argument.
const HERE: usize = libc::AT_FDCWD as usize;
/// How the kernel names the clocks of what is computed, in the lowest bits of their numbers.
const CPU_CLOCK_OF_A_PROCESS: usize = 2;
const CPU_CLOCK_OF_A_THREAD: usize = 6;
/// Errors that mean "forbidden", or that the kernel does not have it.
const FORBIDDEN: [i32; 3] = [libc::EPERM, libc::EACCES, libc::ENOSYS];
/// The same where something new is made: also that there may not be more.
const FORBIDDEN_OR_MANY: [i32; 4] = [libc::EPERM, libc::EACCES, libc::ENOSYS, libc::EAGAIN];
/// The highest descriptor that is looked for.
const DESCRIPTORS_LOOKED_FOR: usize = 4_096;

type Try = fn(Parent) -> Answer;

/// What is tried, by what it would be for: "a worker can …".
const ATTEMPTS: &[(&str, Try)] = &[
    ("open a file for reading", |_| open(PROGRAM, libc::O_RDONLY)),
    ("open a file for writing", |_| open(c"/dev/null", libc::O_WRONLY)),
    ("create a file", |_| open(TEMPORARY, libc::O_TMPFILE | libc::O_WRONLY)),
    ("list a folder", |_| open(c"/", libc::O_RDONLY | libc::O_DIRECTORY)),
    ("see whether a file is there", |_| look_at_a_file()),
    ("open its own memory as a file", |_| open(c"/proc/self/mem", libc::O_RDWR)),
    ("open the environment of its parent", open_the_parents_environment),
    ("make a TCP socket", |_| socket(libc::AF_INET, libc::SOCK_STREAM)),
    ("make a UDP socket", |_| socket(libc::AF_INET, libc::SOCK_DGRAM)),
    ("make a Unix socket", |_| socket(libc::AF_UNIX, libc::SOCK_STREAM)),
    ("make a netlink socket", |_| socket(libc::AF_NETLINK, libc::SOCK_RAW)),
    ("make a pair of sockets", |_| make_a_pair_of_sockets()),
    // The discard service of this machine, which hardly any machine has.
    ("connect a TCP socket", |_| use_a_socket(libc::SYS_connect, 9)),
    ("bind a TCP socket", |_| use_a_socket(libc::SYS_bind, 0)),
    ("make a process", |_| make_a_process()),
    ("make a thread", |_| make_a_thread()),
    ("execute a program", |_| execute()),
    ("signal its parent", |parent| call(libc::SYS_kill, &[parent.0, 0])),
    ("signal a thread of its parent", |parent| call(libc::SYS_tgkill, &[parent.0, parent.0, 0])),
    ("get hold of its parent", |parent| opening(libc::SYS_pidfd_open, &[parent.0, 0])),
    ("read the memory of its parent", |parent| the_parents_memory(parent, libc::SYS_process_vm_readv)),
    ("write the memory of its parent", |parent| the_parents_memory(parent, libc::SYS_process_vm_writev)),
    ("see how much its parent computes", |parent| clock(parent.0, CPU_CLOCK_OF_A_PROCESS)),
    ("raise its limits", |_| raise_limits()),
    ("use more memory than its bound", |_| use_memory(BOUNDS.data_bytes)),
    ("become visible again", |_| call(libc::SYS_prctl, &[small(libc::PR_SET_DUMPABLE), 1])),
    ("mount a file system", |_| mount()),
    ("make a user namespace", |_| call(libc::SYS_unshare, &[small(libc::CLONE_NEWUSER)])),
    ("enter a namespace", |_| call(libc::SYS_setns, &[usize::MAX, 0])),
    ("set up io_uring", |_| set_up_io_uring()),
    ("make a file in memory", |_| opening(libc::SYS_memfd_create, &[address(c"weir"), 0])),
    ("handle page faults itself", |_| opening(libc::SYS_userfaultfd, &[0])),
    ("load a BPF program", |_| call(libc::SYS_bpf, &[5, 0, 0])),
    ("watch the processor's counters", |_| opening(libc::SYS_perf_event_open, &[0, 0, usize::MAX, usize::MAX, 0])),
    // KEYCTL_GET_KEYRING_ID of the session's keyring, without making one.
    ("use the kernel's keys", |_| call(libc::SYS_keyctl, &[0, -3_isize as usize, 0])),
    ("reach a terminal", |_| reach_a_terminal()),
    // Last: where it succeeds the parent is bound to this process until its end.
    ("trace its parent", |parent| call(libc::SYS_ptrace, &[libc::PTRACE_SEIZE as usize, parent.0, 0, 0])),
];

/// The process that started this one. Asked for beforehand: afterwards there is no answer.
#[derive(Clone, Copy)]
pub struct Parent(usize);

impl Parent {
    /// The parent of this process.
    pub fn find() -> Self {
        Self(std::os::unix::process::parent_id() as usize)
    }
}

/// Tries all of them.
pub fn all(parent: Parent) -> Vec<Attempt> {
    ATTEMPTS.iter().map(|(what, attempt)| Attempt { what: (*what).to_owned(), answer: attempt(parent) }).collect()
}

/// Looks for what came with the process.
pub fn inherited() -> Vec<Attempt> {
    let is_open = |descriptor: &usize| raw(libc::SYS_fcntl, &[*descriptor, small(libc::F_GETFD)]).is_ok();
    let none = |count: usize| if count == 0 { Answer::Nothing } else { Answer::LetThrough(None) };
    let descriptors = none((3..DESCRIPTORS_LOOKED_FOR).filter(is_open).count());
    let variables = none(unexpected_variables());
    vec![
        Attempt { what: "use descriptors of its parent".into(), answer: descriptors },
        Attempt { what: "read environment variables".into(), answer: variables },
    ]
}

/// Makes a system call. Private, for its callers have to see to it that addresses lead to what the call expects, or
/// nowhere, where the kernel answers `EFAULT`.
fn raw(number: c_long, arguments: &[usize]) -> Result<usize, i32> {
    let mut all = [0_usize; 6];
    for (place, argument) in all.iter_mut().zip(arguments) {
        *place = *argument;
    }
    let [a, b, c, d, e, f] = all;
    // SAFETY: the arguments are numbers, addresses of values that live until the call has returned and are as large as it
    // expects, or addresses that lead nowhere. None of the calls changes memory that Rust knows of but those values.
    let answer = unsafe { libc::syscall(number, a, b, c, d, e, f) };
    usize::try_from(answer).map_err(|_| last_error())
}

fn last_error() -> i32 {
    io::Error::last_os_error().raw_os_error().unwrap_or(0)
}

/// Makes a system call for its answer.
fn call(number: c_long, arguments: &[usize]) -> Answer {
    answer(raw(number, arguments), &FORBIDDEN)
}

fn answer(result: Result<usize, i32>, forbidden: &[i32]) -> Answer {
    match result {
        Ok(_) => Answer::LetThrough(None),
        Err(error) if forbidden.contains(&error) => Answer::Refused(error),
        Err(error) => Answer::LetThrough(Some(error)),
    }
}

/// Makes a system call that opens something, and closes it.
fn opening(number: c_long, arguments: &[usize]) -> Answer {
    let opened = raw(number, arguments);
    if let Ok(descriptor) = opened {
        close(descriptor);
    }
    answer(opened, &FORBIDDEN)
}

fn open(path: &CStr, flags: c_int) -> Answer {
    opening(libc::SYS_openat, &[HERE, address(path), small(flags | libc::O_CLOEXEC), 0o600])
}

fn look_at_a_file() -> Answer {
    let mut found = [0_u8; size_of::<libc::statx>()];
    let basic = libc::STATX_BASIC_STATS as usize;
    call(libc::SYS_statx, &[HERE, address(PROGRAM), 0, basic, address_of(&mut found)])
}

fn open_the_parents_environment(parent: Parent) -> Answer {
    let path = CString::new(format!("/proc/{}/environ", parent.0));
    path.map_or(Answer::Nothing, |path| open(&path, libc::O_RDONLY))
}

fn socket(domain: c_int, kind: c_int) -> Answer {
    opening(libc::SYS_socket, &[small(domain), small(kind | libc::SOCK_CLOEXEC), 0])
}

fn make_a_pair_of_sockets() -> Answer {
    let mut pair = [-1_i32; 2];
    let arguments = [small(libc::AF_UNIX), small(libc::SOCK_STREAM), 0, address_of(&mut pair)];
    let made = raw(libc::SYS_socketpair, &arguments);
    if made.is_ok() {
        for descriptor in pair {
            close(small(descriptor));
        }
    }
    answer(made, &FORBIDDEN)
}

/// Connects or binds to a port of this machine. Where no socket is to be had, stdin has to do: whether the call is let
/// through is seen all the same.
fn use_a_socket(number: c_long, port: u16) -> Answer {
    let mut place = libc::sockaddr_in {
        sin_family: libc::AF_INET as libc::sa_family_t,
        sin_port: port.to_be(),
        sin_addr: libc::in_addr { s_addr: u32::from(Ipv4Addr::LOCALHOST).to_be() },
        sin_zero: [0; 8],
    };
    let made = raw(libc::SYS_socket, &[small(libc::AF_INET), small(libc::SOCK_STREAM), 0]);
    let length = size_of::<libc::sockaddr_in>();
    let used = raw(number, &[made.unwrap_or(0), address_of(&mut place), length]);
    if let Ok(descriptor) = made {
        close(descriptor);
    }
    answer(used, &FORBIDDEN)
}

fn make_a_process() -> Answer {
    let made = raw(libc::SYS_clone, &[small(libc::SIGCHLD), 0, 0, 0, 0]);
    match made {
        // SAFETY: the child of a process with several threads may do nothing but end, and does.
        Ok(0) => unsafe { libc::_exit(0) },
        Ok(child) => {
            let _ = raw(libc::SYS_wait4, &[child, 0, 0, 0]);
        }
        Err(_) => {}
    }
    answer(made, &FORBIDDEN_OR_MANY)
}

fn make_a_thread() -> Answer {
    let made = thread::Builder::new().stack_size(64 << 10).spawn(|| ());
    let made = made.map(|thread| usize::from(thread.join().is_ok()));
    answer(made.map_err(|error| error.raw_os_error().unwrap_or(0)), &FORBIDDEN_OR_MANY)
}

/// The kernel finds the program and whether it may be executed, and then that its arguments are nowhere.
fn execute() -> Answer {
    call(libc::SYS_execve, &[address(PROGRAM), 1, 0])
}

/// Whether it may is decided before the address turns out to be nowhere.
fn the_parents_memory(parent: Parent, number: c_long) -> Answer {
    let mut byte = 0_u8;
    let mut here = libc::iovec { iov_base: ptr::from_mut(&mut byte).cast(), iov_len: 1 };
    let mut there = libc::iovec { iov_base: ptr::without_provenance_mut(1), iov_len: 1 };
    call(number, &[parent.0, address_of(&mut here), 1, address_of(&mut there), 1, 0])
}

/// Reads the clock that measures what a process or thread computes.
fn clock(id: usize, kind: usize) -> Answer {
    let mut time = [0_u64; 2];
    call(libc::SYS_clock_gettime, &[!id << 3 | kind, address_of(&mut time)])
}

/// Whether this process can measure its own threads, without which there is no limit on what they compute.
pub fn measures_threads() -> bool {
    let thread = raw(libc::SYS_gettid, &[]);
    thread.is_ok_and(|thread| clock(thread, CPU_CLOCK_OF_A_THREAD) == Answer::LetThrough(None))
}

fn raise_limits() -> Answer {
    // Soft and hard, without end.
    let mut limit = [u64::MAX; 2];
    call(libc::SYS_prlimit64, &[0, libc::RLIMIT_DATA as usize, address_of(&mut limit), 0])
}

fn use_memory(bytes: u64) -> Answer {
    let Ok(bytes) = usize::try_from(bytes) else { return Answer::Nothing };
    let (writable, private) =
        (small(libc::PROT_READ | libc::PROT_WRITE), small(libc::MAP_PRIVATE | libc::MAP_ANONYMOUS));
    let used = raw(libc::SYS_mmap, &[0, bytes, writable, private, usize::MAX, 0]);
    if let Ok(place) = used {
        let _ = raw(libc::SYS_munmap, &[place, bytes]);
    }
    answer(used, &[libc::ENOMEM])
}

/// Of a kind that no kernel has: whether it may is decided before that.
fn mount() -> Answer {
    call(libc::SYS_mount, &[address(c"none"), address(c"/"), address(c"weir-no-such-kind"), 0, 0])
}

fn set_up_io_uring() -> Answer {
    // Of the size of `struct io_uring_params`.
    let mut parameters = [0_u64; 15];
    opening(libc::SYS_io_uring_setup, &[1, address_of(&mut parameters)])
}

fn reach_a_terminal() -> Answer {
    let mut size = libc::winsize { ws_row: 0, ws_col: 0, ws_xpixel: 0, ws_ypixel: 0 };
    call(libc::SYS_ioctl, &[0, libc::TIOCGWINSZ as usize, address_of(&mut size)])
}

fn close(descriptor: usize) {
    let _ = raw(libc::SYS_close, &[descriptor]);
}

fn address(text: &CStr) -> usize {
    text.as_ptr() as usize
}

fn address_of<T>(value: &mut T) -> usize {
    ptr::from_mut(value) as usize
}

/// Constants of libc are signed; these are small and positive.
fn small(constant: c_int) -> usize {
    constant.unsigned_abs() as usize
}
