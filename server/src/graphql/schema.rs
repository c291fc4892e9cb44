//! The schema of one release.

use std::sync::Arc;

use weir_engine::usage::Usage;
use weir_sandbox::App;
use weir_schema::api::{Api, ApiError};
use weir_schema::declarations::Declarations;
use weir_schema::graphql::GraphqlSettings;
use weir_schema::sdl;

use super::cache::{CacheCounters, OperationCache, PLAN_CACHE_BYTES};
use super::cost::Prices;
use super::document::{Operation, choose, parse};
use super::validate::validate;
use super::{GraphqlError, scan, suggest};

/// All that requests need to know of one release. A new release gets a new one, whole.
pub struct Schema {
    /// Types and root fields.
    pub api: Api,
    /// The same as text.
    pub sdl: String,
    /// How the app wants it asked.
    pub settings: GraphqlSettings,
    pub(super) prices: Prices,
    pub(super) cache: OperationCache,
    /// What is asked for.
    pub(super) usage: Arc<Usage>,
}

/// Why declarations cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum SchemaError {
    /// GraphQL does not allow them.
    #[error(transparent)]
    Api(#[from] ApiError),
}

/// Whether the schema of an app can be served; if not, why.
pub fn servable(app: &App) -> Result<(), String> {
    Schema::build(&app.declarations, &app.manifest.graphql).map(drop).map_err(|error| error.to_string())
}

impl Schema {
    /// Builds the schema of an app.
    pub fn build(declarations: &Declarations, settings: &GraphqlSettings) -> Result<Self, SchemaError> {
        Self::build_counted(declarations, settings, CacheCounters::default())
    }

    /// The same, where what its cache does is counted together with others.
    pub fn build_counted(
        declarations: &Declarations,
        settings: &GraphqlSettings,
        counters: CacheCounters,
    ) -> Result<Self, SchemaError> {
        let api = Api::of(declarations)?;
        let cache = OperationCache::new(PLAN_CACHE_BYTES, counters);
        let prices = Prices::new(&api, settings);
        let usage = Arc::default();
        Ok(Self { sdl: sdl::print(&api), api, settings: settings.clone(), prices, cache, usage })
    }

    /// The same, where it is counted what is asked for.
    pub fn counting(self, usage: &Arc<Usage>) -> Self {
        Self { usage: usage.clone(), ..self }
    }

    /// The operation that a request names, valid and compiled. A known text skips all of that.
    pub async fn prepare(&self, text: &str, operation: Option<&str>) -> Result<Arc<Operation>, Vec<GraphqlError>> {
        // What no cache should be asked for, since looking it up takes as long as reading it.
        scan::size(text, &self.settings).map_err(|error| vec![error])?;
        scan::name(operation, &self.settings).map_err(|error| vec![error])?;
        if let Some(known) = self.cache.known(text, operation) {
            return known.map_err(|errors| errors.to_vec());
        }
        // What has too much of something is refused as fast as it could be found, and takes no room.
        scan::text(text, &self.settings).map_err(|error| vec![error])?;
        let compile = async { self.compile(text, operation).await.map_err(|errors| self.tell(errors)) };
        self.cache.get(text, operation, compile).await.map_err(|errors| errors.to_vec())
    }

    /// What a call of a function of the mutations costs that no document asks for.
    pub fn cost_of_call(&self, function: &str) -> u64 {
        self.prices.written(function)
    }

    /// Whether a document fits, whichever of its operations are asked for. What comes of it is not kept.
    pub async fn check(&self, text: &str) -> Result<(), Vec<GraphqlError>> {
        let (document, _) = parse(text, &self.settings).map_err(|error| vec![error])?;
        for (name, _) in document.operations.iter() {
            let checked = self.compile(text, name.map(|name| name.as_str())).await;
            // Who pushes documents may know the schema, whatever clients may.
            checked.map_err(|errors| suggest::tell(&self.api, true, errors))?;
        }
        Ok(())
    }

    /// What clients may be told of these errors.
    pub(super) fn tell(&self, errors: Vec<GraphqlError>) -> Vec<GraphqlError> {
        suggest::tell(&self.api, self.settings.introspection, errors)
    }

    async fn compile(&self, text: &str, operation: Option<&str>) -> Result<Operation, Vec<GraphqlError>> {
        let one = |error| vec![error];
        let (document, tokens) = parse(text, &self.settings).map_err(one)?;
        validate(&self.api, &document)?;
        let name = choose(&document, operation).map_err(one)?.0.map(str::to_owned);
        Operation::compile(self, document, tokens, name.as_deref()).map_err(one)
    }
}
