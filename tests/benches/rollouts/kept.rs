//! What a hundred releases on record cost: memory, disk, and the start.

use std::thread;
use std::time::Duration;

use crate::figures::{quantile, show};
use crate::server::{Shop, call};

const RELEASES: usize = 100;
const STARTS: usize = 9;
/// By then the server has let go of releases that nobody asks for.
const DRAINED: Duration = Duration::from_secs(20);

pub fn run() {
    let (shop, one) = measured(Shop::start(), 1);
    for number in 1..RELEASES {
        shop.connection().ask(&shop.upload(&format!("1.0.{number}")));
    }
    println!("{RELEASES} releases, right after the last was deployed: {:.0} MiB of memory", shop.memory_mib());
    thread::sleep(DRAINED);
    println!("{RELEASES} releases, {} s later: {:.0} MiB", DRAINED.as_secs(), shop.memory_mib());
    let (shop, hundred) = measured(shop, RELEASES);
    println!("start with {RELEASES} / with 1: {:.2}", hundred / one);
    assert_eq!(shop.server.stop(), Some(0));
}

/// Starts the server some times, and looks what it takes. The median of the starts, in milliseconds.
fn measured(mut shop: Shop, releases: usize) -> (Shop, f64) {
    let mut starts: Vec<Duration> = Vec::with_capacity(STARTS);
    for _ in 0..STARTS {
        let (again, took) = shop.restarted();
        again.connection().ask(&call(1));
        (shop, _) = (again, starts.push(took));
    }
    let (memory, folder) = (shop.memory_mib(), shop.folder_mib());
    println!("{releases} on record: {memory:.0} MiB of memory after a start, {folder:.1} MiB on disk");
    show(&format!("{releases} on record, start to ready"), &starts);
    (shop, quantile(&starts, 50))
}
