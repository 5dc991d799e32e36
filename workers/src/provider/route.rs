//! Routes: several models under one name, of which the next is asked when one cannot answer.

use domain::ModelRef;
use domain::conversation::MAX_ALTERNATIVES;
use serde::Deserialize;

/// What stands in the place of a provider in the reference of a route: `route/fast`.
pub const PREFIX: &str = "route";

/// A route as it is configured.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RouteConfig {
    /// Its name, behind `route/`.
    pub id: String,
    /// Whom it asks: the first one, and another when that one cannot answer.
    pub models: Vec<ModelRef>,
}

impl RouteConfig {
    /// How a conversation chooses it.
    ///
    /// # Errors
    /// Why it cannot work, whatever is configured beside it.
    pub(super) fn reference(&self) -> Result<ModelRef, String> {
        if self.id.contains('/') {
            return Err("its id has no slash".to_owned());
        }
        if self.models.is_empty() || u32::try_from(self.models.len()).is_ok_and(|count| count > MAX_ALTERNATIVES) {
            return Err(format!("it needs 1 to {MAX_ALTERNATIVES} models"));
        }
        if let Some((_, twice)) = self.models.iter().enumerate().find(|(at, model)| self.models[..*at].contains(*model))
        {
            return Err(format!("it has {twice} twice"));
        }
        ModelRef::try_from(format!("{PREFIX}/{}", self.id)).map_err(|error| error.to_string())
    }
}
