//! `weir serve` with `examples/shop`, which anybody may ask here.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use crate::apps::App;
use crate::connection::{Connection, request};
use crate::weir::{Dev, Process, run, weir};

/// A call whose function runs each time: no two have the same number.
pub fn call(number: u64) -> String {
    request(
        "/graphql",
        None,
        &json!({ "query": format!("{{ ordersOf(customer: \"none\", limit: {number}) {{ total }} }}") }),
    )
}

/// The shop, served.
pub struct Shop {
    pub app: App,
    pub server: Dev,
    /// The token of the administrator.
    pub root: String,
}

impl Shop {
    /// Serves the shop with what its procedure `seed` makes, as version 1.0.0.
    pub fn start() -> Self {
        let app = App::copy_of("examples/shop");
        let policies = app.read("policies.cedar");
        app.write("policies.cedar", &format!("{policies}\n@id(\"anybody\")\npermit(principal, action, resource);\n"));
        app.edit("app.toml", "0.1.0", "1.0.0");
        let config = "[server]\nlisten = \"127.0.0.1:0\"\ndata = \"data\"\n[rate]\nenabled = false\n";
        fs::write(app.beside("weir.toml"), config).unwrap();
        let (server, _) = serve(&app, &["--bootstrap"]);
        let (_, line) = server.stdout.wait_for(0, |line| line.starts_with("token of the administrator root"));
        let root = line.rsplit(' ').next().unwrap().to_owned();
        fs::write(app.beside("token"), &root).unwrap();
        fs::set_permissions(app.beside("token"), fs::Permissions::from_mode(0o600)).unwrap();
        let shop = Self { app, server, root };
        let public = run(&["keys", "generate", "--out", &shop.path("key.pem")]);
        shop.admin(&format!("mutation {{ trustKey(publicKey: {}) {{ id }} }}", json!(public.stdout)));
        shop.connection().ask(&shop.upload("1.0.0"));
        shop.connection().ask(&request("/graphql", None, &json!({ "query": "mutation { seed { orders } }" })));
        shop
    }

    /// Ends it and starts it again; how long until it is ready.
    pub fn restarted(self) -> (Self, Duration) {
        let Self { app, server, root } = self;
        assert_eq!(server.stop(), Some(0));
        let (server, took) = serve(&app, &[]);
        (Self { app, server, root }, took)
    }

    pub fn path(&self, name: &str) -> String {
        self.app.beside(name).to_str().unwrap().to_owned()
    }

    pub fn connection(&self) -> Connection {
        Connection::open(&self.server.url)
    }

    /// The bytes of a request to the control plane.
    pub fn mutation(&self, document: &str) -> String {
        request("/admin/graphql", Some(&self.root), &json!({ "query": document }))
    }

    /// Asks the control plane.
    pub fn admin(&self, document: &str) -> String {
        self.connection().ask(&self.mutation(document)).body
    }

    /// Makes the app another version, with other code.
    pub fn edit(&self, version: &str) {
        let manifest = self.app.read("app.toml");
        let before = manifest.lines().find(|line| line.starts_with("version")).unwrap().to_owned();
        self.app.write("app.toml", &manifest.replace(&before, &format!("version = \"{version}\"")));
        let file = "functions/orders.ts";
        let code = self.app.read(file);
        let code = code.split("// Version ").next().unwrap().trim_end();
        self.app.write(file, &format!("{code}\n// Version {version}\n"));
    }

    /// The bytes of a request that deploys that version.
    pub fn upload(&self, version: &str) -> String {
        self.edit(version);
        let (folder, file) = (self.app.path(), self.path("shop.weir"));
        let built = run(&["build", folder.to_str().unwrap(), "-o", &file, "--key", &self.path("key.pem")]);
        assert_eq!(built.code, Some(0), "{}", built.stderr);
        let bundle = STANDARD.encode(fs::read(&file).unwrap());
        let query = "mutation($bundle: String!) { deploy(bundle: $bundle) { release { version } } }";
        request("/admin/graphql", Some(&self.root), &json!({ "query": query, "variables": { "bundle": bundle } }))
    }

    /// What the server and its workers have in memory, in MiB.
    pub fn memory_mib(&self) -> f64 {
        let all = fs::read_dir("/proc").unwrap().filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
        let processes: Vec<(u32, u32, f64)> = all.filter_map(status).collect();
        let mut ours = vec![self.server.process.id()];
        // Workers have workers of their own while they are started.
        loop {
            let more: Vec<u32> = processes
                .iter()
                .filter(|(id, parent, _)| ours.contains(parent) && !ours.contains(id))
                .map(|(id, ..)| *id)
                .collect();
            if more.is_empty() {
                break;
            }
            ours.extend(more);
        }
        processes.iter().filter(|(id, ..)| ours.contains(id)).map(|(.., mib)| mib).sum()
    }

    /// What its folder takes on disk, in MiB.
    pub fn folder_mib(&self) -> f64 {
        bytes(&self.app.data()) as f64 / f64::from(1 << 20)
    }
}

/// The parent of a process, and what it alone has in memory, in MiB: what it shares with others is counted for each in part.
fn status(id: u32) -> Option<(u32, u32, f64)> {
    let value = |file: &str, name: &str| -> Option<u64> {
        let text = fs::read_to_string(format!("/proc/{id}/{file}")).ok()?;
        text.lines().find_map(|line| line.strip_prefix(name))?.trim().trim_end_matches(" kB").parse().ok()
    };
    let parent = u32::try_from(value("status", "PPid:")?).ok()?;
    Some((id, parent, value("smaps_rollup", "Pss:").unwrap_or_default() as f64 / 1024.0))
}

fn bytes(folder: &Path) -> u64 {
    let size = |entry: fs::DirEntry| match entry.metadata() {
        Ok(found) if found.is_dir() => bytes(&entry.path()),
        Ok(found) => found.len(),
        Err(_) => 0,
    };
    fs::read_dir(folder).unwrap().filter_map(Result::ok).map(size).sum()
}

fn serve(app: &App, arguments: &[&str]) -> (Dev, Duration) {
    let mut command = weir(&["serve", "--config", app.beside("weir.toml").to_str().unwrap()]);
    command.args(arguments).env("WEIR_LOG", "info,weir_engine=debug").stdin(Stdio::null());
    let begun = Instant::now();
    let server = Dev::of(Process::start(command));
    (server, begun.elapsed())
}
