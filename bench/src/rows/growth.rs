//! To come.
use super::{Found, Plan};
use crate::Error;
#[expect(clippy::unused_async, reason = "to come")]
pub(super) async fn measure(_plan: Plan) -> Result<Found, Error> { Ok(Found::default()) }
