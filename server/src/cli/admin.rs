//! `weir admin token create|list|revoke`: who may use the control plane of a server.

use clap::{Args, Subcommand};
use serde_json::Value;
use weir_engine::control::{Actor, administrators};
use weir_schema::codec::control::Permission;

use super::place::PlaceArguments;
use super::progress::Bars;
use super::times::moment;
use super::{Failure, logging};
use crate::control::message::{AdministratorShown, Request};

/// The arguments of `weir admin`.
#[derive(Debug, Args)]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Tokens of administrators.
    Token(TokenArguments),
}

#[derive(Debug, Args)]
struct TokenArguments {
    #[command(subcommand)]
    command: TokenCommand,
}

#[derive(Debug, Subcommand)]
enum TokenCommand {
    /// Make an administrator and print the token, once.
    Create {
        /// The name, unique.
        name: String,
        /// What they may do: read, deploy, keys, administrators, audit, erase, tenants or environments; may be given several times.
        #[arg(long, value_name = "PERMISSION", default_value = "read")]
        permission: Vec<Permission>,
        #[command(flatten)]
        place: PlaceArguments,
    },
    /// List administrators. Their tokens are nowhere.
    List {
        /// As lines of JSON.
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        place: PlaceArguments,
    },
    /// Have the token of an administrator count no more.
    Revoke {
        /// The name.
        name: String,
        #[command(flatten)]
        place: PlaceArguments,
    },
}

/// Asks the process that serves the folder, or does it itself.
pub fn run(arguments: &Arguments) -> Result<(), Failure> {
    logging::start();
    let Command::Token(TokenArguments { command }) = &arguments.command;
    let bars = Bars::default();
    match command {
        TokenCommand::Create { name, permission, place } => {
            let folder = place.folder()?;
            let request = Request::CreateAdministrator { name: name.clone(), permissions: permission.clone() };
            let token: String = match folder.ask(&request, &bars)? {
                Some(token) => token,
                None => folder.alone(&bars, async |store| {
                    let token =
                        administrators::create(store, &Actor::operator(), &Permission::ALL, name, permission).await;
                    token.map(|token| token.reveal().to_owned()).map_err(Failure::because)
                })?,
            };
            anstream::println!("{token}");
        }
        TokenCommand::List { json, place } => list(*json, place, &bars)?,
        TokenCommand::Revoke { name, place } => {
            let folder = place.folder()?;
            let revoked: Option<Value> = folder.ask(&Request::RevokeAdministrator { name: name.clone() }, &bars)?;
            if revoked.is_none() {
                folder.alone(&bars, async |store| {
                    administrators::revoke(store, &Actor::operator(), &Permission::ALL, name)
                        .await
                        .map_err(Failure::because)
                })?;
            }
            anstream::println!("the token of {name} counts no more");
        }
    }
    Ok(())
}

fn list(json: bool, place: &PlaceArguments, bars: &Bars) -> Result<(), Failure> {
    let folder = place.folder()?;
    let known: Vec<AdministratorShown> = match folder.ask(&Request::Administrators, bars)? {
        Some(known) => known,
        None => folder.alone(bars, async |store| {
            let known = administrators::list(store).map_err(Failure::because)?;
            Ok(known.into_iter().map(AdministratorShown::from).collect())
        })?,
    };
    for administrator in &known {
        if json {
            anstream::println!("{}", serde_json::to_string(administrator).map_err(Failure::because)?);
            continue;
        }
        let AdministratorShown { name, permissions, created_ms, created_by } = administrator;
        let permissions: Vec<&str> = permissions.iter().map(|permission| permission.as_str()).collect();
        anstream::println!("{name}  {}  made {} by {created_by}", permissions.join(","), moment(*created_ms));
    }
    Ok(())
}
