//! Images and documents as Converse takes them.

use std::borrow::Cow;
use std::collections::HashSet;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;

use crate::provider::request::Media;

/// The longest name of a document.
const MAX_NAME_CHARS: usize = 200;

/// An image or a document.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum File {
    /// An image.
    Image {
        /// Such as `png`.
        format: &'static str,
        /// The bytes.
        source: Source,
    },
    /// Anything else that a model reads.
    Document {
        /// Such as `pdf`.
        format: &'static str,
        /// Unique in the request.
        name: String,
        /// The bytes.
        source: Source,
    },
}

/// The bytes of a file.
#[derive(Serialize)]
pub(super) struct Source {
    bytes: String,
}

/// The names of a request's documents so far.
#[derive(Debug, Default)]
pub(super) struct Names(HashSet<String>);

impl File {
    /// None when no model takes files of this type.
    pub(super) fn of(media: &Media, names: &mut Names) -> Option<Self> {
        let media_type = media.media_type.as_str();
        let source = || Source { bytes: STANDARD.encode(&media.bytes) };
        let image = match media_type {
            "image/png" => Some("png"),
            "image/jpeg" => Some("jpeg"),
            "image/gif" => Some("gif"),
            "image/webp" => Some("webp"),
            _ => None,
        };
        if let Some(format) = image {
            return Some(Self::Image { format, source: source() });
        }
        let format = match media_type {
            "application/pdf" => "pdf",
            "text/csv" => "csv",
            "application/msword" => "doc",
            "application/vnd.openxmlformats-officedocument.wordprocessingml.document" => "docx",
            "application/vnd.ms-excel" => "xls",
            "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet" => "xlsx",
            "text/html" => "html",
            "text/markdown" => "md",
            "application/json" => "txt",
            _ if media_type.starts_with("text/") => "txt",
            _ => return None,
        };
        Some(Self::Document { format, name: names.name(media.name.as_deref()), source: source() })
    }
}

impl Names {
    /// Letters, digits, hyphens, parentheses, brackets and single spaces are allowed, and no name twice.
    fn name(&mut self, given: Option<&str>) -> String {
        let allowed = |char: char| if char.is_ascii_alphanumeric() || "-()[]".contains(char) { char } else { ' ' };
        let plain: String = given.unwrap_or_default().chars().map(allowed).take(MAX_NAME_CHARS - 10).collect();
        let plain = plain.split_whitespace().collect::<Vec<_>>().join(" ");
        let plain = if plain.is_empty() { Cow::Borrowed("document") } else { Cow::Owned(plain) };
        let mut name = plain.clone().into_owned();
        for number in 2.. {
            if self.0.insert(name.clone()) {
                break;
            }
            name = format!("{plain} {number}");
        }
        name
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_plain_and_used_once() {
        let mut names = Names::default();
        for (given, expected) in [
            (Some("Q3  report_(final).pdf"), "Q3 report (final) pdf"),
            (Some("Q3 report (final) pdf"), "Q3 report (final) pdf 2"),
            (Some("日本"), "document"),
            (None, "document 2"),
        ] {
            assert_eq!(names.name(given), expected);
        }
        assert_eq!(names.name(Some(&"x".repeat(500))).len(), 190);
    }
}
