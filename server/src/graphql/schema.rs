//! The schema of one release.

use std::sync::Arc;

use weir_schema::api::{Api, ApiError};
use weir_schema::declarations::Declarations;
use weir_schema::sdl;

use super::cache::OperationCache;
use super::document::{Operation, choose, parse, variables};
use super::library::Library;
use super::typename::expose;
use super::{DocumentLimits, GraphqlError};

/// All that requests need to know of one release. A new release gets a new one, whole.
pub struct Schema {
    /// Types and root fields.
    pub api: Api,
    /// The same as text.
    pub sdl: String,
    pub(super) library: Library,
    cache: OperationCache,
    limits: DocumentLimits,
}

/// Why declarations cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum SchemaError {
    /// GraphQL does not allow them.
    #[error(transparent)]
    Api(#[from] ApiError),
    /// The library refuses what [`Api::of`] let pass.
    #[error("the GraphQL library refuses the schema: {0}")]
    Library(String),
}

impl Schema {
    /// Builds the schema of an app.
    pub fn build(declarations: &Declarations, limits: &DocumentLimits) -> Result<Self, SchemaError> {
        let api = Api::of(declarations)?;
        let library = Library::build(&api).map_err(|error| SchemaError::Library(error.to_string()))?;
        let cache = OperationCache::new(limits.plan_cache_bytes);
        Ok(Self { sdl: sdl::print(&api), api, library, cache, limits: limits.clone() })
    }

    /// The operation that a request names, valid and compiled. A known text skips all of that.
    pub async fn prepare(&self, text: &str, operation: Option<&str>) -> Result<Arc<Operation>, Vec<GraphqlError>> {
        if let Some(known) = self.cache.get(text, operation) {
            return Ok(known);
        }
        let one = |error| vec![error];
        let document = parse(text, &self.limits).map_err(one)?;
        // The library panics on variables of types that do not exist: they are looked up before.
        for (_, definition) in document.operations.iter() {
            variables(&self.api, &definition.node).map_err(one)?;
        }
        let chosen = choose(&document, operation).map(|(name, _)| name.map(str::to_owned));
        let any = document.operations.iter().next().and_then(|(name, _)| name).map(|name| name.as_str());
        self.library.validate(expose(document.clone()).map_err(one)?, any).await?;
        let name = chosen.map_err(one)?;
        let compiled = Operation::compile(&self.api, document, name.as_deref(), &self.limits).map_err(one)?;
        let compiled = Arc::new(compiled);
        self.cache.insert(text, operation, compiled.clone());
        Ok(compiled)
    }
}
