//! What the benchmarks of the store share: callers that wait for their own commits, medians, the disk's own time.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use surrealkv::{Tree, TreeBuilder};
use weir_schema::declarations::{Collection, Declarations, Index};
use weir_schema::shape::{Definition, Member, ObjectDefinition, Shape, Slot};
use weir_store::Options;

/// What one run of many callers came to.
#[derive(Clone, Copy)]
pub struct Figures {
    pub per_second: f64,
    pub p50_us: f64,
    pub p99_us: f64,
}

impl Figures {
    pub fn new(mut times_us: Vec<f64>, per_second: f64) -> Self {
        times_us.sort_by(f64::total_cmp);
        Self { per_second, p50_us: times_us[times_us.len() / 2], p99_us: times_us[times_us.len() * 99 / 100] }
    }

    /// The run in the middle.
    pub fn median(mut runs: Vec<Self>) -> Self {
        runs.sort_by(|a, b| a.per_second.total_cmp(&b.per_second));
        runs[runs.len() / 2]
    }
}

static NUMBER: AtomicU64 = AtomicU64::new(0);

/// Commits from so many callers for a while, each waiting for its own. Every commit has a number of its own.
pub async fn measure<F: Future<Output = ()> + Send + 'static>(
    callers: usize,
    run: Duration,
    commit: impl Fn(u64) -> F + Clone + Send + 'static,
) -> Figures {
    let start = Instant::now();
    let tasks: Vec<_> = (0..callers)
        .map(|_| {
            let commit = commit.clone();
            tokio::spawn(async move {
                let mut times = Vec::new();
                while start.elapsed() < run {
                    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
                    let begun = Instant::now();
                    commit(number).await;
                    times.push(begun.elapsed().as_secs_f64() * 1e6);
                }
                times
            })
        })
        .collect();
    let mut times = Vec::new();
    for task in tasks {
        times.extend(task.await.unwrap());
    }
    let per_second = times.len() as f64 / start.elapsed().as_secs_f64();
    Figures::new(times, per_second)
}

/// The median time of a small write and fdatasync.
pub fn fsync_us(folder: &Path) -> f64 {
    let mut file = File::create(folder.join("fsync")).unwrap();
    let mut times: Vec<f64> = (0..200)
        .map(|_| {
            let start = Instant::now();
            file.write_all(&[7; 512]).unwrap();
            file.sync_data().unwrap();
            start.elapsed().as_secs_f64() * 1e6
        })
        .collect();
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

/// surrealkv alone, with the sizes that the store gives it, and its log written ahead as there.
pub fn bare(folder: &Path) -> Tree {
    let sizes = Options::default();
    let mut settings = surrealkv::Options::new()
        .with_path(folder.to_owned())
        .with_block_cache_capacity(sizes.block_cache_bytes)
        .with_wal_preallocation(true);
    settings.max_memtable_size = sizes.memtable_bytes;
    TreeBuilder::with_options(settings).build().unwrap()
}

/// Declarations of one collection.
pub fn declarations(name: &str, members: &[(&str, Shape)], indexes: Vec<Index>) -> Declarations {
    let member = |(name, shape): &(&str, Shape)| Member {
        name: (*name).to_owned(),
        description: None,
        slot: Slot::required(shape.clone()),
        literal: None,
    };
    let value = "Value".to_owned();
    let object = ObjectDefinition {
        name: value.clone(),
        input_name: "Input".to_owned(),
        description: None,
        members: members.iter().map(member).collect(),
    };
    let collection = Collection {
        name: name.to_owned(),
        module: "collections.ts".to_owned(),
        document: "Document".to_owned(),
        value: value.clone(),
        indexes,
        references: Vec::new(),
    };
    let mut declarations = Declarations::default();
    declarations.definitions.insert(value, Definition::Object(object));
    declarations.collections.insert(name.to_owned(), collection);
    declarations
}
