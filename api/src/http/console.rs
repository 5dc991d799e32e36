//! The console: the page that this binary carries within itself, in every profile. `build.rs` sees to it that it is the
//! newest one built.

use axum::http::{StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use rust_embed::Embed;

#[derive(Embed)]
#[folder = "../web/console/dist"]
#[allow_missing = true]
struct Assets;

/// Any other path: a file of the console, or the page itself, which knows its own paths.
pub(super) async fn serve(uri: Uri) -> Response {
    let path = uri.path().trim_start_matches('/');
    let asset = Assets::get(path).map(|file| (path, file));
    let is_page = !path.rsplit('/').next().is_some_and(|name| name.contains('.'));
    let page = || Assets::get("index.html").filter(|_| is_page).map(|file| ("index.html", file));
    let Some((path, file)) = asset.or_else(page) else {
        return (StatusCode::NOT_FOUND, "there is nothing here; was the console built?\n").into_response();
    };
    // Names of assets hold a hash of their content; the page that names them must be fresh.
    let cache = if path.starts_with("assets/") { "public, max-age=31536000, immutable" } else { "no-cache" };
    let headers =
        [(header::CONTENT_TYPE, file.metadata.mimetype().to_owned()), (header::CACHE_CONTROL, cache.to_owned())];
    (headers, file.data.into_owned()).into_response()
}
