//! `weir env create|copy|list|change|suspend|resume|delete`: the same app with data and an active release of its own.

use std::path::PathBuf;

use axum::http::Uri;
use clap::{Args, Subcommand};
use serde_json::{Value, json};
use weir_engine::control::tenants::{self, TenantsError};
use weir_engine::control::{Actor, now_ms};
use weir_schema::codec::control::InstanceRecord;
use weir_schema::datetime;
use weir_schema::tenant::{EnvironmentName, HostName, InstanceName, PRODUCTION, TenantName};
use weir_store::Store;

use super::folder::{FolderArguments, Which, count, threads, which};
use super::place::ServerPlace;
use super::progress::Bars;
use super::remote::Remote;
use super::signing::milliseconds;
use super::{Failure, logging};
use crate::control::message::{Request, TenantShown};
use crate::tenants::environments::{Changing, Expiry, From, Making};
use crate::tenants::offline::Offline;

/// The arguments of `weir env`.
#[derive(Debug, Args)]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Make an environment that has nothing yet.
    Create {
        /// The name: lower-case letters, digits and hyphens.
        name: EnvironmentName,
        #[command(flatten)]
        made: MadeArguments,
        #[command(flatten)]
        place: EnvironmentPlace,
    },
    /// Make an environment that has what another one has now: its data, its active release, and the keys that are trusted there.
    Copy {
        /// Which one: production, or an environment.
        #[arg(value_parser = which)]
        from: Which,
        /// The name of the copy: lower-case letters, digits and hyphens.
        name: EnvironmentName,
        #[command(flatten)]
        made: MadeArguments,
        #[command(flatten)]
        place: EnvironmentPlace,
    },
    /// List environments, and how they stand.
    List {
        /// As lines of JSON.
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        place: EnvironmentPlace,
    },
    /// Have an environment be reached by other hosts, or be there for another time. What is not named stays.
    Change {
        /// The name.
        name: EnvironmentName,
        /// A host under which it is reached; may be given more than once. By others it is reached no more.
        #[arg(long = "host", value_name = "HOST")]
        hosts: Vec<HostName>,
        /// For how long it is there from now on, such as 7d, and `never` where it is not to be removed by itself.
        #[arg(long, value_name = "TIME", value_parser = expiry)]
        expires: Option<Lasting>,
        #[command(flatten)]
        place: EnvironmentPlace,
    },
    /// Keep an environment and serve it no more; its sockets end.
    Suspend {
        /// The name.
        name: EnvironmentName,
        #[command(flatten)]
        place: EnvironmentPlace,
    },
    /// Serve an environment again.
    Resume {
        /// The name.
        name: EnvironmentName,
        #[command(flatten)]
        place: EnvironmentPlace,
    },
    /// Remove an environment and all that it has. There is no way back.
    Delete {
        /// The name.
        name: EnvironmentName,
        /// The name once more: all that it has is removed.
        #[arg(long, value_name = "NAME")]
        confirm: String,
        #[command(flatten)]
        place: EnvironmentPlace,
    },
}

/// What is said of one that is made.
#[derive(Debug, Args)]
struct MadeArguments {
    /// A host under which it is reached; may be given more than once.
    #[arg(long = "host", value_name = "HOST")]
    hosts: Vec<HostName>,
    /// For how long it is there, such as 7d: then it is removed by itself. [default: until weir env delete]
    #[arg(long, value_name = "TIME", value_parser = milliseconds)]
    expires: Option<u64>,
}

/// Where the environments are.
#[derive(Debug, Args)]
struct EnvironmentPlace {
    #[command(flatten)]
    server: ServerPlace,
    /// A tenant, whose app they are of. [default: the server's own app]
    #[arg(long, value_name = "NAME", conflicts_with = "server")]
    tenant: Option<TenantName>,
    /// A server elsewhere, such as https://api.example.com, in place of a data folder.
    #[arg(long = "server", id = "server", value_name = "URL", requires = "token_file", conflicts_with_all = ["data", "config"])]
    elsewhere: Option<Uri>,
    /// The token of an administrator with the permission environments, in a file that only you can read.
    #[arg(long, value_name = "FILE", requires = "server")]
    token_file: Option<PathBuf>,
}

/// For how long; `None` in it: until it is removed by hand.
#[derive(Debug, Clone, Copy)]
struct Lasting(Option<u64>);

fn expiry(text: &str) -> Result<Lasting, String> {
    match text {
        "never" => Ok(Lasting(None)),
        time => milliseconds(time).map(Some).map(Lasting).map_err(|error| format!("{error}, or never")),
    }
}

/// What tells of an environment in the answers of a server elsewhere.
const FIELDS: &str = "name hosts state createdAt createdBy copied { from sequence documents } expiresAt";

impl EnvironmentPlace {
    /// Asks a server elsewhere; `None`: none was named.
    fn ask(&self, query: &str, variables: Value) -> Result<Option<Value>, Failure> {
        let Some((server, token_file)) = self.elsewhere.as_ref().zip(self.token_file.as_ref()) else {
            return Ok(None);
        };
        let remote = Remote::of(server, token_file)?;
        threads()?.block_on(remote.ask(query, variables)).map(Some)
    }

    fn folder(&self) -> Result<FolderArguments, Failure> {
        self.server.folder()
    }

    fn instance(&self, name: &EnvironmentName) -> InstanceName {
        InstanceName::environment(self.tenant.clone(), name.clone())
    }
}

/// An environment as it is told of.
struct Told {
    name: String,
    hosts: Vec<String>,
    condition: String,
    /// From which one, at which commit, and how many documents.
    copied: Option<(String, u64, u64)>,
    expires: Option<String>,
}

impl Told {
    /// From the answer of a server elsewhere.
    fn remote(answer: &Value) -> Self {
        let text = |pointer: &str| answer.pointer(pointer).and_then(Value::as_str);
        let number = |pointer: &str| text(pointer).and_then(|text| text.parse().ok()).unwrap_or_default();
        let hosts = answer.get("hosts").and_then(Value::as_array).into_iter().flatten();
        Self {
            name: text("/name").unwrap_or_default().to_owned(),
            hosts: hosts.filter_map(Value::as_str).map(str::to_owned).collect(),
            condition: text("/state").unwrap_or_default().to_ascii_lowercase(),
            copied: text("/copied/from")
                .map(|from| (from.to_owned(), number("/copied/sequence"), number("/copied/documents"))),
            expires: text("/expiresAt").map(str::to_owned),
        }
    }

    fn line(&self) -> String {
        let hosts: String = self.hosts.iter().map(|host| format!("  host {host}")).collect();
        let copied = self.copied.as_ref().map(|(from, sequence, documents)| {
            format!("  from {from} at commit {sequence}, {}", count(*documents, "document"))
        });
        let expires = self.expires.as_ref().map(|expires| format!("  until {expires}"));
        let (copied, expires) = (copied.unwrap_or_default(), expires.unwrap_or_default());
        format!("{}  {}{hosts}{copied}{expires}", self.name, self.condition)
    }

    fn json(&self) -> Value {
        let Self { name, hosts, condition, copied, expires } = self;
        let copied = copied
            .as_ref()
            .map(|(from, sequence, documents)| json!({ "from": from, "sequence": sequence, "documents": documents }));
        json!({ "name": name, "hosts": hosts, "condition": condition, "copied": copied, "expiresAt": expires })
    }
}

impl std::convert::From<TenantShown> for Told {
    fn from(TenantShown { record, condition }: TenantShown) -> Self {
        let InstanceRecord { name, hosts, copied, expires_ms, .. } = record;
        let from = |name: Option<EnvironmentName>| name.map_or(PRODUCTION.to_owned(), |name| name.to_string());
        Self {
            name: name.environment_name().map(ToString::to_string).unwrap_or_default(),
            hosts: hosts.iter().map(ToString::to_string).collect(),
            condition,
            copied: copied.map(|copied| (from(copied.environment), copied.sequence, copied.documents)),
            expires: expires_ms.map(datetime::of_ms),
        }
    }
}

/// Asks a server elsewhere, or the process that serves the folder, or does it itself.
pub fn run(arguments: &Arguments) -> Result<(), Failure> {
    logging::start();
    match &arguments.command {
        Command::Create { name, made, place } => create(name, From::Nothing, made, place),
        Command::Copy { from: Which(from), name, made, place } => create(name, From::Copy(from.clone()), made, place),
        Command::List { json, place } => list(*json, place),
        Command::Change { name, hosts, expires, place } => change(name, hosts, *expires, place),
        Command::Suspend { name, place } => {
            let request = Request::SuspendEnvironment { name: place.instance(name) };
            let alone =
                async |store: &Store, name: &InstanceName| tenants::suspend(store, &Actor::operator(), name).await;
            turned("suspendEnvironment", name, &request, place, alone)
        }
        Command::Resume { name, place } => {
            let request = Request::ResumeEnvironment { name: place.instance(name) };
            let alone =
                async |store: &Store, name: &InstanceName| tenants::resume(store, &Actor::operator(), name).await;
            turned("resumeEnvironment", name, &request, place, alone)
        }
        Command::Delete { name, confirm, place } => delete(name, confirm, place),
    }
}

fn create(name: &EnvironmentName, from: From, made: &MadeArguments, place: &EnvironmentPlace) -> Result<(), Failure> {
    let query = format!(
        "mutation($name: String!, $from: String, $hosts: [String!]!, $for: String) \
         {{ createEnvironment(name: $name, from: $from, hosts: $hosts, for: $for) {{ {FIELDS} }} }}"
    );
    let from_name = match &from {
        From::Nothing => Value::Null,
        From::Copy(None) => json!(PRODUCTION),
        From::Copy(Some(name)) => json!(name),
    };
    let lasting = made.expires.map(|expires| format!("{expires}ms"));
    let variables = json!({ "name": name, "from": from_name, "hosts": made.hosts, "for": lasting });
    let told = match place.ask(&query, variables)? {
        Some(data) => Told::remote(data.pointer("/createEnvironment").unwrap_or(&Value::Null)),
        None => {
            let (folder, bars) = (place.folder()?, Bars::default());
            let expires_ms = made.expires.map(|expires| now_ms().saturating_add(expires));
            let making = Making { name: name.clone(), hosts: made.hosts.clone(), expires_ms, from };
            let of = place.tenant.clone();
            let request = Request::CreateEnvironment { of: of.clone(), making: making.clone() };
            let shown: TenantShown = match folder.ask(&request, &bars)? {
                Some(shown) => shown,
                None => {
                    let (data, ring, max) = (folder.data(), folder.ring()?, place.server.environments_max()?);
                    folder.alone(&bars, async |store| {
                        let offline = Offline { store, data: &data, ring: ring.as_ref() };
                        let made = offline.create_environment(of, making, max, bars.watch()).await;
                        made.map(TenantShown::at_rest).map_err(Failure::because)
                    })?
                }
            };
            shown.into()
        }
    };
    anstream::println!("{}", told.line());
    Ok(())
}

fn list(as_json: bool, place: &EnvironmentPlace) -> Result<(), Failure> {
    let told: Vec<Told> = match place.ask(&format!("{{ environments {{ {FIELDS} }} }}"), json!({}))? {
        Some(data) => {
            let all = data.get("environments").and_then(Value::as_array).into_iter().flatten();
            all.map(Told::remote).collect()
        }
        None => {
            let (folder, bars, of) = (place.folder()?, Bars::default(), place.tenant.clone());
            let shown: Vec<TenantShown> = match folder.ask(&Request::Environments { of: of.clone() }, &bars)? {
                Some(shown) => shown,
                None => folder.alone(&bars, async |store| {
                    let all = tenants::list(store).map_err(Failure::because)?.into_iter();
                    let is_one =
                        |name: &InstanceName| name.environment_name().is_some() && name.tenant() == of.as_ref();
                    Ok(all.filter(|record| is_one(&record.name)).map(TenantShown::at_rest).collect())
                })?,
            };
            shown.into_iter().map(Told::from).collect()
        }
    };
    for environment in &told {
        match as_json {
            true => anstream::println!("{}", environment.json()),
            false => anstream::println!("{}", environment.line()),
        }
    }
    Ok(())
}

fn change(
    name: &EnvironmentName,
    hosts: &[HostName],
    expires: Option<Lasting>,
    place: &EnvironmentPlace,
) -> Result<(), Failure> {
    let hosts = Some(hosts).filter(|hosts| !hosts.is_empty());
    if hosts.is_none() && expires.is_none() {
        return Err(Failure::because("say what is to be changed, with --host or --expires"));
    }
    let query = format!(
        "mutation($name: String!, $hosts: [String!], $for: String) \
         {{ changeEnvironment(name: $name, hosts: $hosts, for: $for) {{ {FIELDS} }} }}"
    );
    let lasting = expires.map(|Lasting(time)| time.map_or("never".to_owned(), |time| format!("{time}ms")));
    let told = match place.ask(&query, json!({ "name": name, "hosts": hosts, "for": lasting }))? {
        Some(data) => Told::remote(data.pointer("/changeEnvironment").unwrap_or(&Value::Null)),
        None => {
            let (folder, bars, instance) = (place.folder()?, Bars::default(), place.instance(name));
            let expiry = |Lasting(time): Lasting| match time {
                None => Expiry::Never,
                Some(time) => Expiry::At(now_ms().saturating_add(time)),
            };
            let changing = Changing { hosts: hosts.map(<[_]>::to_vec), expires: expires.map(expiry) };
            let request = Request::ChangeEnvironment { name: instance.clone(), changing: changing.clone() };
            let shown: TenantShown = match folder.ask(&request, &bars)? {
                Some(shown) => shown,
                None => {
                    let data = folder.data();
                    folder.alone(&bars, async |store| {
                        let offline = Offline { store, data: &data, ring: None };
                        let changed = offline.change_environment(&instance, changing).await;
                        changed.map(TenantShown::at_rest).map_err(Failure::because)
                    })?
                }
            };
            shown.into()
        }
    };
    anstream::println!("{}", told.line());
    Ok(())
}

/// Has one be served no more, or again, by a field of the control plane.
fn turned(
    field: &str,
    name: &EnvironmentName,
    request: &Request,
    place: &EnvironmentPlace,
    alone: impl AsyncFnOnce(&Store, &InstanceName) -> Result<InstanceRecord, TenantsError>,
) -> Result<(), Failure> {
    let query = format!("mutation($name: String!) {{ {field}(name: $name) {{ {FIELDS} }} }}");
    let told = match place.ask(&query, json!({ "name": name }))? {
        Some(data) => Told::remote(data.get(field).unwrap_or(&Value::Null)),
        None => {
            let (folder, bars, instance) = (place.folder()?, Bars::default(), place.instance(name));
            let shown: TenantShown = match folder.ask(request, &bars)? {
                Some(shown) => shown,
                None => folder.alone(&bars, async |store| {
                    alone(store, &instance).await.map(TenantShown::at_rest).map_err(Failure::because)
                })?,
            };
            shown.into()
        }
    };
    anstream::println!("{}", told.line());
    Ok(())
}

fn delete(name: &EnvironmentName, confirm: &str, place: &EnvironmentPlace) -> Result<(), Failure> {
    if confirm != name.as_str() {
        return Err(Failure::because(format!("all that {name} has is removed: say so with --confirm {name}")));
    }
    let query = "mutation($name: String!, $confirm: String!) { deleteEnvironment(name: $name, confirm: $confirm) }";
    if place.ask(query, json!({ "name": name, "confirm": confirm }))?.is_none() {
        let (folder, bars, instance) = (place.folder()?, Bars::default(), place.instance(name));
        let deleted: Option<Value> = folder.ask(&Request::DeleteEnvironment { name: instance.clone() }, &bars)?;
        if deleted.is_none() {
            let data = folder.data();
            folder.alone(&bars, async |store| {
                let offline = Offline { store, data: &data, ring: None };
                offline.delete(&instance).await.map_err(Failure::because)
            })?;
        }
    }
    anstream::println!("{name} is removed, with all that it had");
    Ok(())
}
