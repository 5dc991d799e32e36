//! What a model said in an attempt, as the parts of its reply, in the order in which it came.

use domain::ModelRef;
use domain::conversation::Part;

use crate::provider::Chunk;

/// The most bytes of a reply's parts, written as JSON: its event fits into one message of the bus, with room for the rest.
const MAX_JSON_BYTES: usize = 3 * 1024 * 1024 + 512 * 1024;

/// The parts so far.
pub(super) struct Parts {
    model: ModelRef,
    parts: Vec<Part>,
}

impl Parts {
    /// For what `model` says.
    pub(super) fn new(model: ModelRef) -> Self {
        Self { model, parts: Vec::new() }
    }

    /// Adds a piece of an answer.
    pub(super) fn push(&mut self, chunk: Chunk) {
        match chunk {
            Chunk::Text(piece) => match self.parts.last_mut() {
                Some(Part::Text { text }) => text.push_str(&piece),
                _ => self.parts.push(Part::Text { text: piece }),
            },
            Chunk::Reasoning(piece) => match self.parts.last_mut() {
                Some(Part::Reasoning { text, signature: None, .. }) => text.push_str(&piece),
                _ => self.reasoning(piece, None),
            },
            Chunk::ReasoningSignature(given) => match self.parts.last_mut() {
                Some(Part::Reasoning { signature: signature @ None, .. }) => *signature = Some(given),
                // Of a thought that the provider hides, or of what the model said: its place counts.
                _ => self.reasoning(String::new(), Some(given)),
            },
            Chunk::ToolCall { id, name, arguments, signature } => {
                self.parts.push(Part::ToolCall { id, name, arguments, signature });
            }
            Chunk::Finished { .. } => {}
        }
    }

    /// All of them, of a whole answer; none when they are too many bytes even without what was thought.
    pub(super) fn whole(mut self) -> Option<(Vec<Part>, ModelRef)> {
        if !fits(&self.parts) {
            self.parts.retain(|part| !matches!(part, Part::Reasoning { .. }));
        }
        fits(&self.parts).then_some((self.parts, self.model))
    }

    fn reasoning(&mut self, text: String, signature: Option<String>) {
        self.parts.push(Part::Reasoning { text, signature, model: self.model.clone() });
    }
}

fn fits(parts: &[Part]) -> bool {
    serde_json::to_vec(parts).is_ok_and(|json| json.len() <= MAX_JSON_BYTES)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn model() -> ModelRef {
        "a/b".parse().unwrap_or_else(|_| unreachable!())
    }

    fn parts(chunks: impl IntoIterator<Item = Chunk>) -> Option<Vec<Part>> {
        let mut parts = Parts::new(model());
        chunks.into_iter().for_each(|chunk| parts.push(chunk));
        parts.whole().map(|(parts, _)| parts)
    }

    fn said(text: &str) -> Chunk {
        Chunk::Text(text.to_owned())
    }

    fn thought(text: &str) -> Chunk {
        Chunk::Reasoning(text.to_owned())
    }

    fn signed(signature: &str) -> Chunk {
        Chunk::ReasoningSignature(signature.to_owned())
    }

    fn text(text: &str) -> Part {
        Part::Text { text: text.to_owned() }
    }

    fn reasoning(text: &str, signature: Option<&str>) -> Part {
        Part::Reasoning { text: text.to_owned(), signature: signature.map(str::to_owned), model: model() }
    }

    #[test]
    fn pieces_join_and_a_signature_closes_a_thought() {
        let (id, name, arguments) = ("c".to_owned(), "t".to_owned(), "{}".to_owned());
        let call = Chunk::ToolCall {
            id: id.clone(),
            name: name.clone(),
            arguments: arguments.clone(),
            signature: Some("x".to_owned()),
        };
        let chunks =
            [thought("a"), thought("b"), signed("s"), thought("c"), said("d"), said("e"), signed("u"), call, said("f")];
        let expected = vec![
            reasoning("ab", Some("s")),
            reasoning("c", None),
            text("de"),
            reasoning("", Some("u")),
            Part::ToolCall { id, name, arguments, signature: Some("x".to_owned()) },
            text("f"),
        ];
        assert_eq!(parts(chunks), Some(expected));
    }

    #[test]
    fn what_does_not_fit_goes_without_what_was_thought() {
        let long = "x".repeat(MAX_JSON_BYTES);
        assert_eq!(parts([thought(&long), said("a")]), Some(vec![text("a")]));
        assert_eq!(parts([said(&long)]), None);
    }
}
