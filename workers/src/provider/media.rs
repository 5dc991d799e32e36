//! Images and files in the forms that protocols of JSON share.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::request::Media;
use super::turns::left_out;
use super::wire::Unsayable;

/// Types beside `text/…` that are text.
const TEXTS: &[&str] = &["application/json", "application/xml", "application/yaml", "application/toml"];

/// The bytes in Base64.
pub(super) fn base64(media: &Media) -> String {
    STANDARD.encode(&media.bytes)
}

/// The whole as a URL (RFC 2397).
pub(super) fn data_url(media: &Media) -> String {
    format!("data:{};base64,{}", media.media_type, base64(media))
}

/// Whether it is an image of a type that every model with eyes sees.
pub(super) fn is_image(media: &Media) -> bool {
    matches!(media.media_type.as_str(), "image/png" | "image/jpeg" | "image/webp" | "image/gif")
}

/// A file of text, told as text with its name before it: for protocols that take no files. In place of one that is no text, a
/// note stands in turns before the last one: what an earlier model could read shall not end the conversation with this one.
///
/// # Errors
/// When it is no text, and in the last turn.
pub(super) fn as_text(media: &Media, is_last: bool) -> Result<String, Unsayable> {
    let kind = media.media_type.split(';').next().unwrap_or_default().trim();
    if kind.starts_with("text/") || TEXTS.contains(&kind) {
        let name = media.name.as_deref().unwrap_or("a file");
        return Ok(format!("{name}:\n{}", String::from_utf8_lossy(&media.bytes)));
    }
    if !is_last {
        return Ok(left_out(media));
    }
    Err(Unsayable(format!("this model does not take files of the type {kind}")))
}
