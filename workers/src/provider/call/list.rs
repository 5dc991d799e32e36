//! The list of a provider's models: one page of it after the other, within bounds.

use std::collections::HashSet;

use bytes::BytesMut;
use reqwest::Response;
use tokio::time::timeout;

use super::endpoint::Endpoint;
use super::reply::refused;
use crate::provider::models::{Listing, MAX_MODELS, Model, Page};
use crate::provider::{Deadline, Error, ErrorKind, LIST_DEADLINE};

/// The most pages that are asked for.
const MAX_PAGES: usize = 10;
/// The largest page that is read, in bytes: of those that list at once, the longest list has some hundreds of kilobytes.
const MAX_PAGE_BYTES: usize = 4 * 1024 * 1024;

/// The models of a provider, in its order, each once; [`MAX_MODELS`] at most.
pub(super) async fn models(endpoint: &Endpoint) -> Result<Vec<Model>, Error> {
    let Some(listing) = endpoint.wire.listing() else {
        return Err(endpoint.error(ErrorKind::Invalid, "its protocol has no list of models"));
    };
    timeout(LIST_DEADLINE, all(endpoint, listing)).await.unwrap_or_else(|_| {
        let late = format!("the list of models did not come within {LIST_DEADLINE:?}");
        Err(endpoint.error(ErrorKind::Timeout(Deadline::FirstToken), &late))
    })
}

async fn all(endpoint: &Endpoint, listing: Listing) -> Result<Vec<Model>, Error> {
    let (mut models, mut names, mut mark) = (Vec::new(), HashSet::new(), None);
    for _ in 0..MAX_PAGES {
        let Page { models: page, next } = page(endpoint, listing, mark.as_deref()).await?;
        models.extend(page.into_iter().filter(|model| names.insert(model.id.clone())));
        if next.is_none() || next == mark || models.len() >= MAX_MODELS {
            break;
        }
        mark = next;
    }
    models.truncate(MAX_MODELS);
    Ok(models)
}

async fn page(endpoint: &Endpoint, listing: Listing, mark: Option<&str>) -> Result<Page, Error> {
    let (call, _taken) = endpoint.get(listing.ask(mark))?;
    let response = call.send().await.map_err(|error| endpoint.unreachable(&error))?;
    if !response.status().is_success() {
        return Err(refused(endpoint, response).await);
    }
    let body = whole(endpoint, response).await?;
    listing.read(&body).map_err(|refusal| endpoint.refused(refusal))
}

async fn whole(endpoint: &Endpoint, mut response: Response) -> Result<BytesMut, Error> {
    let mut body = BytesMut::new();
    // A connection that broke ends it like any other end: whether it is whole, its own brackets tell.
    while let Ok(Some(bytes)) = response.chunk().await {
        if body.len() + bytes.len() > MAX_PAGE_BYTES {
            return Err(endpoint.error(ErrorKind::Protocol, "the list of models is too large"));
        }
        body.extend_from_slice(&bytes);
    }
    Ok(body)
}
