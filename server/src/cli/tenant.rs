//! `weir tenant create|list|change|suspend|resume|delete|export`: who is served besides the server's own app, each apart.

use std::path::{self, PathBuf};

use axum::http::Uri;
use clap::{Args, Subcommand};
use serde_json::{Value, json};
use weir_engine::control::Actor;
use weir_engine::control::tenants::{self, Reached, TenantsError};
use weir_schema::codec::control::InstanceRecord;
use weir_schema::tenant::{HostName, InstanceName, TenantName};
use weir_store::Store;

use super::export::contents;
use super::folder::{FolderArguments, on_record, threads};
use super::place::ServerPlace;
use super::progress::Bars;
use super::remote::Remote;
use super::{Failure, logging};
use crate::control::message::{self, NewTenant, Request, TenantShown};
use crate::tenants::export::{self, Summary};
use crate::tenants::offline::Offline;

/// The arguments of `weir tenant`.
#[derive(Debug, Args)]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Make a tenant, and print the token of its first administrator, once.
    Create {
        /// The name: lower-case letters, digits and hyphens.
        name: TenantName,
        #[command(flatten)]
        reached: ReachedArguments,
        #[command(flatten)]
        server: ServerArguments,
    },
    /// List tenants, and how they stand.
    List {
        /// As lines of JSON.
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        server: ServerArguments,
    },
    /// Have a tenant be reached by these hosts and issuers, and by no others.
    Change {
        /// The name.
        name: TenantName,
        #[command(flatten)]
        reached: ReachedArguments,
        #[command(flatten)]
        server: ServerArguments,
    },
    /// Keep a tenant and serve it no more; its sockets end.
    Suspend {
        /// The name.
        name: TenantName,
        #[command(flatten)]
        server: ServerArguments,
    },
    /// Serve a tenant again.
    Resume {
        /// The name.
        name: TenantName,
        #[command(flatten)]
        server: ServerArguments,
    },
    /// Remove all that a tenant has, its key first. There is no way back.
    Delete {
        /// The name.
        name: TenantName,
        /// The name once more.
        #[arg(long, value_name = "NAME")]
        confirm: String,
        #[command(flatten)]
        server: ServerArguments,
    },
    /// Write all that a tenant has into a new folder, as files that anybody can read.
    Export {
        /// The name.
        name: TenantName,
        /// The folder.
        #[arg(value_name = "DIR")]
        to: PathBuf,
        #[command(flatten)]
        place: ServerPlace,
    },
}

/// By what a tenant is reached.
#[derive(Debug, Args)]
struct ReachedArguments {
    /// A host under which it is reached, without a port; may be given several times.
    #[arg(long = "host", value_name = "HOST")]
    hosts: Vec<HostName>,
    /// An issuer all of whose tokens are good there, as in iss; may be given several times. Those of an issuer with tenant_claim
    /// say themselves for whom they are.
    #[arg(long = "issuer", value_name = "ISSUER")]
    issuers: Vec<String>,
}

impl ReachedArguments {
    fn reached(&self) -> Reached {
        Reached { hosts: self.hosts.clone(), issuers: self.issuers.clone() }
    }
}

/// Where the server is.
#[derive(Debug, Args)]
struct ServerArguments {
    #[command(flatten)]
    place: ServerPlace,
    /// A server elsewhere, such as https://api.example.com, in place of a data folder.
    #[arg(long, value_name = "URL", requires = "token_file", conflicts_with_all = ["data", "config"])]
    server: Option<Uri>,
    /// The token of an administrator with the permission tenants, in a file that only you can read.
    #[arg(long, value_name = "FILE", requires = "server")]
    token_file: Option<PathBuf>,
}

/// What tells of a tenant in the answers of a server elsewhere.
const FIELDS: &str = "name hosts issuers state createdAt createdBy";

impl ServerArguments {
    /// Asks a server elsewhere; `None`: none was named.
    fn ask(&self, query: &str, variables: Value) -> Result<Option<Value>, Failure> {
        let Some((server, token_file)) = self.server.as_ref().zip(self.token_file.as_ref()) else { return Ok(None) };
        let remote = Remote::of(server, token_file)?;
        threads()?.block_on(remote.ask(query, variables)).map(Some)
    }

    /// The data folder of the server.
    fn folder(&self) -> Result<FolderArguments, Failure> {
        self.place.folder()
    }
}

/// A tenant as it is told of.
struct Told {
    name: String,
    hosts: Vec<String>,
    issuers: Vec<String>,
    condition: String,
}

impl Told {
    /// From the answer of a server elsewhere.
    fn remote(answer: &Value) -> Self {
        let text = |name: &str| answer.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        let texts = |name: &str| {
            let list = answer.get(name).and_then(Value::as_array).into_iter().flatten();
            list.filter_map(Value::as_str).map(str::to_owned).collect()
        };
        let condition = text("state").to_ascii_lowercase();
        Self { name: text("name"), hosts: texts("hosts"), issuers: texts("issuers"), condition }
    }

    fn line(&self) -> String {
        let hosts = self.hosts.iter().map(|host| format!("  host {host}"));
        let issuers = self.issuers.iter().map(|issuer| format!("  issuer {issuer}"));
        let reached: String = hosts.chain(issuers).collect();
        format!("{}  {}{reached}", self.name, self.condition)
    }

    fn json(&self) -> Value {
        let Self { name, hosts, issuers, condition } = self;
        json!({ "name": name, "hosts": hosts, "issuers": issuers, "condition": condition })
    }
}

impl From<TenantShown> for Told {
    fn from(TenantShown { record, condition }: TenantShown) -> Self {
        let InstanceRecord { name, hosts, issuers, .. } = record;
        Self { name: name.to_string(), hosts: hosts.iter().map(ToString::to_string).collect(), issuers, condition }
    }
}

/// Asks a server elsewhere, or the process that serves the folder, or does it itself.
pub fn run(arguments: &Arguments) -> Result<(), Failure> {
    logging::start();
    match &arguments.command {
        Command::Create { name, reached, server } => create(name, &reached.reached(), server),
        Command::List { json, server } => list(*json, server),
        Command::Change { name, reached, server } => {
            let reached = reached.reached();
            let query = format!(
                "mutation($name: String!, $hosts: [String!]!, $issuers: [String!]!) \
                 {{ changeTenant(name: $name, hosts: $hosts, issuers: $issuers) {{ {FIELDS} }} }}"
            );
            let variables = json!({ "name": name, "hosts": reached.hosts, "issuers": reached.issuers });
            let request = Request::ReachTenant { name: name.clone(), reached: reached.clone() };
            let alone =
                async |store: &Store| tenants::reach(store, &Actor::operator(), &name.clone().into(), &reached).await;
            changed(server, &query, variables, &request, "/changeTenant", alone)
        }
        Command::Suspend { name, server } => {
            let query = format!("mutation($name: String!) {{ suspendTenant(name: $name) {{ {FIELDS} }} }}");
            let request = Request::SuspendTenant { name: name.clone() };
            let alone = async |store: &Store| tenants::suspend(store, &Actor::operator(), &name.clone().into()).await;
            changed(server, &query, json!({ "name": name }), &request, "/suspendTenant", alone)
        }
        Command::Resume { name, server } => {
            let query = format!("mutation($name: String!) {{ resumeTenant(name: $name) {{ {FIELDS} }} }}");
            let request = Request::ResumeTenant { name: name.clone() };
            let alone = async |store: &Store| tenants::resume(store, &Actor::operator(), &name.clone().into()).await;
            changed(server, &query, json!({ "name": name }), &request, "/resumeTenant", alone)
        }
        Command::Delete { name, confirm, server } => delete(name, confirm, server),
        Command::Export { name, to, place } => export(name, to, place),
    }
}

fn create(name: &TenantName, reached: &Reached, server: &ServerArguments) -> Result<(), Failure> {
    let query = "mutation($name: String!, $hosts: [String!]!, $issuers: [String!]!) \
                 { createTenant(name: $name, hosts: $hosts, issuers: $issuers) { token } }";
    let variables = json!({ "name": name, "hosts": reached.hosts, "issuers": reached.issuers });
    let token = match server.ask(query, variables)? {
        Some(data) => data.pointer("/createTenant/token").and_then(Value::as_str).unwrap_or_default().to_owned(),
        None => {
            let (folder, bars) = (server.folder()?, Bars::default());
            let request = Request::CreateTenant { name: name.clone(), reached: reached.clone() };
            let made: Option<NewTenant> = folder.ask(&request, &bars)?;
            match made {
                Some(made) => made.token,
                None => {
                    let (data, ring, max) = (folder.data(), folder.ring()?, server.place.tenants_max()?);
                    folder.alone(&bars, async |store| {
                        let offline = Offline { store, data: &data, ring: ring.as_ref() };
                        let token = offline.create(name.clone(), reached, max).await.map_err(Failure::because)?;
                        Ok(token.reveal().to_owned())
                    })?
                }
            }
        }
    };
    anstream::println!("{token}");
    Ok(())
}

fn list(as_json: bool, server: &ServerArguments) -> Result<(), Failure> {
    let told: Vec<Told> = match server.ask(&format!("{{ tenants {{ {FIELDS} }} }}"), json!({}))? {
        Some(data) => data.get("tenants").and_then(Value::as_array).into_iter().flatten().map(Told::remote).collect(),
        None => {
            let (folder, bars) = (server.folder()?, Bars::default());
            let shown: Vec<TenantShown> = match folder.ask(&Request::Tenants, &bars)? {
                Some(shown) => shown,
                None => folder.alone(&bars, async |store| {
                    let all = tenants::list(store).map_err(Failure::because)?.into_iter();
                    let tenants = all.filter(|record| record.name.environment_name().is_none());
                    Ok(tenants.map(TenantShown::at_rest).collect())
                })?,
            };
            shown.into_iter().map(Told::from).collect()
        }
    };
    for tenant in &told {
        match as_json {
            true => anstream::println!("{}", tenant.json()),
            false => anstream::println!("{}", tenant.line()),
        }
    }
    Ok(())
}

/// Makes a change and tells how the tenant is after it.
fn changed(
    server: &ServerArguments,
    query: &str,
    variables: Value,
    request: &Request,
    pointer: &str,
    alone: impl AsyncFnOnce(&Store) -> Result<InstanceRecord, TenantsError>,
) -> Result<(), Failure> {
    let told = match server.ask(query, variables)? {
        Some(data) => Told::remote(data.pointer(pointer).unwrap_or(&Value::Null)),
        None => {
            let (folder, bars) = (server.folder()?, Bars::default());
            let shown: TenantShown = match folder.ask(request, &bars)? {
                Some(shown) => shown,
                None => folder.alone(&bars, async |store| {
                    alone(store).await.map(TenantShown::at_rest).map_err(Failure::because)
                })?,
            };
            shown.into()
        }
    };
    anstream::println!("{}", told.line());
    Ok(())
}

fn delete(name: &TenantName, confirm: &str, server: &ServerArguments) -> Result<(), Failure> {
    if confirm != name.as_str() {
        return Err(Failure::because(format!("all that {name} has is removed: say so with --confirm {name}")));
    }
    let query = "mutation($name: String!, $confirm: String!) { deleteTenant(name: $name, confirm: $confirm) }";
    if server.ask(query, json!({ "name": name, "confirm": confirm }))?.is_none() {
        let (folder, bars) = (server.folder()?, Bars::default());
        let deleted: Option<Value> = folder.ask(&Request::DeleteTenant { name: name.clone() }, &bars)?;
        if deleted.is_none() {
            let data = folder.data();
            folder.alone(&bars, async |store| {
                let offline = Offline { store, data: &data, ring: None };
                offline.delete(&name.clone().into()).await.map_err(Failure::because)
            })?;
        }
    }
    anstream::println!("{name} is removed, with all that it had");
    Ok(())
}

fn export(name: &TenantName, to: &PathBuf, place: &ServerPlace) -> Result<(), Failure> {
    let (server, bars) = (place.folder()?, Bars::default());
    let to = path::absolute(to).map_err(Failure::because)?;
    let instance = InstanceName::Tenant(name.clone());
    let shown: Option<Vec<TenantShown>> = server.ask(&Request::Tenants, &bars)?;
    let tenant = match shown {
        Some(shown) => {
            let found = shown.into_iter().map(|shown| shown.record).find(|record| record.name == instance);
            found.ok_or_else(|| Failure::because(TenantsError::Unknown(instance.clone())))?
        }
        None => server.alone(&bars, async |store| tenants::find(store, &instance).map_err(Failure::because))?,
    };
    let folder = server.of(Some(name.clone()), None);
    let request = Request::ExportAll { to: to.clone(), tenant: tenant.clone() };
    let summary: Summary = match folder.ask(&request, &bars)? {
        Some(summary) => summary,
        None => folder.alone(&bars, async |store| {
            let summary = export::all(store, &tenant, &to, bars.watch()).await.map_err(Failure::because)?;
            on_record(store, message::exported_all(&to, &summary.data)).await?;
            Ok(summary)
        })?,
    };
    anstream::println!("exported {name}: {}", contents(&summary.data));
    for file in &summary.files {
        anstream::println!("{}", to.join(file).display());
    }
    Ok(())
}
