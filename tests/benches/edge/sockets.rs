//! WebSockets that were greeted and then ask for nothing: how fast they connect, and what each takes of the server's memory.

use std::time::{Duration, Instant};

use tokio::runtime::Builder;
use tokio::task::LocalSet;

use crate::audience::open;
use crate::frames::Connection;
use crate::open_files::open_files;
use crate::servers::Server;

const SOCKETS: usize = 5_000;
/// There before, so that all that a server has to load is loaded.
const BEFORE: usize = 50;
/// Files that a process has open beside its sockets, and more.
const OTHER_FILES: usize = 1_000;
/// Between what a server did and a look at its memory.
const SETTLING: Duration = Duration::from_secs(1);
/// What a socket may take at most, in KiB.
const AIM_KIB: f64 = 32.0;

/// Opens sockets to Weir and to the floor, one server after the other. Functions run in another process, whose heaps are
/// not counted.
pub fn run(scale: f64) {
    if !cfg!(target_os = "linux") {
        return println!("idle sockets are left out: memory is read from /proc");
    }
    let files = open_files();
    let wanted = ((SOCKETS as f64 * scale) as usize).max(BEFORE);
    let sockets = wanted.min(files.saturating_sub(OTHER_FILES + BEFORE));
    if sockets < wanted {
        println!("{sockets} sockets instead of {wanted}: only {files} files may be open");
    }
    let servers = [Server::weir("weir dev", "process"), Server::floor()];
    let each = servers.each_ref().map(|server| {
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        let (per_second, kib) = LocalSet::new().block_on(&runtime, idle(server, sockets));
        println!("{sockets} idle sockets, {:<20} {kib:>6.1} KiB each, {per_second:>7.0} connected/s", server.name);
        (per_second, kib)
    });
    let [(weir_rate, weir_kib), (floor_rate, floor_kib)] = each;
    println!("idle sockets, memory of Weir / floor: {:.2}; at most {AIM_KIB} KiB is the aim", weir_kib / floor_kib);
    println!("idle sockets, connect rate of Weir / floor: {:.2}", weir_rate / floor_rate);
}

/// Sockets connected per second, up to the acknowledgement, and what each takes, in KiB.
async fn idle(server: &Server, sockets: usize) -> (f64, f64) {
    let settled = async || {
        tokio::time::sleep(SETTLING).await;
        server.memory_bytes() as f64
    };
    let _few = open(server.address, BEFORE).await;
    let before = settled().await;
    let started = Instant::now();
    let all = open(server.address, sockets).await;
    let took = started.elapsed();
    let after = settled().await;
    // A socket that had ended would take nothing.
    let is_open = |socket: &Connection| !matches!(socket.stream.try_read(&mut [0; 64]), Ok(0));
    assert!(all.iter().all(is_open), "{} has closed sockets", server.name);
    (sockets as f64 / took.as_secs_f64(), (after - before) / 1024.0 / sockets as f64)
}
