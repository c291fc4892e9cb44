//! What of an app is compared with another release of it.

use weir_sandbox::App;
use weir_schema::api::Api;
use weir_schema::compatibility::Described;
use weir_schema::outline::Outline;

use crate::access;
use crate::keep::code;

/// Takes an app apart; `Err`: why that cannot be, where GraphQL does not allow what it declares.
pub(crate) fn describe(app: &App) -> Result<Described, String> {
    let api = Api::of(&app.declarations).map_err(|error| error.to_string())?;
    let policies = app.policies.as_deref().map(access::outline::of).transpose()?;
    Ok(Described {
        manifest: app.manifest.clone(),
        declarations: app.declarations.clone(),
        outline: Outline::of(&api),
        policies,
        codes: code::digests(app),
    })
}
