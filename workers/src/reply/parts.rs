//! What a model said in an attempt, as the parts of its reply, in the order in which it came.

use domain::ModelRef;
use domain::conversation::Part;

use super::continuation;
use crate::provider::Chunk;

/// The most bytes of a reply's text; a longer one ends there. Written as JSON they still fit into one message of the bus.
pub(super) const MAX_TEXT_BYTES: usize = 512 * 1024;
/// The most bytes of a reply's parts, written as JSON: its event fits into one message of the bus, with room for the rest.
const MAX_JSON_BYTES: usize = 3 * 1024 * 1024 + 512 * 1024;

/// The parts so far.
#[derive(Debug, Default)]
pub(super) struct Parts {
    said: Vec<Part>,
    /// How many bytes of text are among them.
    text_bytes: usize,
    /// Whether the model has done anything but say text.
    did_more: bool,
}

impl Parts {
    /// Those of an attempt that goes on from this text, or begins anew.
    pub(super) fn after(before: Option<String>) -> Self {
        let text_bytes = before.as_ref().map_or(0, String::len);
        let said = before.map(|text| Part::Text { text }).into_iter().collect();
        Self { said, text_bytes, did_more: false }
    }

    /// A piece of an answer as far as there is room for it; false when not all of it has room.
    pub(super) fn fit(&self, piece: Chunk) -> (Chunk, bool) {
        let room = MAX_TEXT_BYTES.saturating_sub(self.text_bytes);
        match piece {
            Chunk::Text(mut text) if text.len() > room => {
                text.truncate(text.floor_char_boundary(room));
                (Chunk::Text(text), false)
            }
            piece => (piece, true),
        }
    }

    /// Adds a piece of an answer of `model`.
    pub(super) fn push(&mut self, piece: Chunk, model: &ModelRef) {
        self.did_more |= !matches!(piece, Chunk::Text(_) | Chunk::Usage(_) | Chunk::Finished { .. });
        match piece {
            Chunk::Text(piece) => self.say(piece),
            Chunk::Reasoning(piece) => match self.said.last_mut() {
                Some(Part::Reasoning { text, signature: None, .. }) => text.push_str(&piece),
                _ => self.think(piece, None, model),
            },
            Chunk::ReasoningSignature(given) => match self.said.last_mut() {
                Some(Part::Reasoning { signature: signature @ None, .. }) => *signature = Some(given),
                // Of a thought that the provider hides, or of what the model said: its place counts.
                _ => self.think(String::new(), Some(given), model),
            },
            Chunk::ToolCall { id, name, arguments, signature } => {
                self.said.push(Part::ToolCall { id, name, arguments, signature });
            }
            Chunk::Usage(_) | Chunk::Finished { .. } => {}
        }
    }

    /// All of them, of a whole answer, which takes them; none when they are too many bytes even without what was thought.
    pub(super) fn whole(&mut self) -> Option<Vec<Part>> {
        if !fits(&self.said) {
            self.said.retain(|part| !is_thought(part));
        }
        fits(&self.said).then(|| std::mem::take(&mut self.said))
    }

    /// Those of an answer that is not whole: its text, and the thoughts and calls that are, as far as there is room for them.
    pub(super) fn so_far(mut self) -> Vec<Part> {
        // A thought that was cut off has no signature yet, and is nothing to its model.
        self.said.pop_if(|part| matches!(part, Part::Reasoning { signature: None, .. }));
        for is_dispensable in [is_thought, is_no_text] {
            if !fits(&self.said) {
                self.said.retain(|part| !is_dispensable(part));
            }
        }
        self.said
    }

    /// Whether another attempt of `model` can go on from them.
    pub(super) fn are_continuable(&self, model: &ModelRef) -> bool {
        !self.did_more && continuation::is_possible(model, &self.said)
    }

    fn say(&mut self, piece: String) {
        self.text_bytes += piece.len();
        match self.said.last_mut() {
            Some(Part::Text { text }) => text.push_str(&piece),
            _ if piece.is_empty() => {}
            _ => self.said.push(Part::Text { text: piece }),
        }
    }

    fn think(&mut self, text: String, signature: Option<String>, model: &ModelRef) {
        self.said.push(Part::Reasoning { text, signature, model: model.clone() });
    }
}

fn is_thought(part: &Part) -> bool {
    matches!(part, Part::Reasoning { .. })
}

fn is_no_text(part: &Part) -> bool {
    part.text().is_none()
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

    fn pushed(mut parts: Parts, chunks: impl IntoIterator<Item = Chunk>) -> Parts {
        chunks.into_iter().for_each(|chunk| parts.push(chunk, &model()));
        parts
    }

    fn parts(chunks: impl IntoIterator<Item = Chunk>) -> Option<Vec<Part>> {
        pushed(Parts::default(), chunks).whole()
    }

    fn so_far(chunks: impl IntoIterator<Item = Chunk>) -> Vec<Part> {
        pushed(Parts::default(), chunks).so_far()
    }

    fn call(arguments: &str) -> Chunk {
        let (id, name, arguments) = ("c".to_owned(), "t".to_owned(), arguments.to_owned());
        Chunk::ToolCall { id, name, arguments, signature: None }
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

    #[test]
    fn what_is_not_whole_keeps_what_of_it_is() {
        let cut = || so_far([thought("a"), signed("s"), said("b"), thought("c")]);
        assert_eq!(cut(), [reasoning("a", Some("s")), text("b")], "the last thought was cut off");
        // Whoever thinks without a signature has thought what stands before something else.
        assert_eq!(so_far([thought("a"), said("b")]), [reasoning("a", None), text("b")]);
        assert_eq!(so_far([thought("a"), signed("s")]), [reasoning("a", Some("s"))]);
        assert!(matches!(
            &so_far([said("a"), call("{}"), thought("b")])[..],
            [Part::Text { .. }, Part::ToolCall { .. }]
        ));
        assert_eq!(so_far([thought("a")]), []);
    }

    #[test]
    fn what_is_not_whole_fits_as_well() {
        let long = "x".repeat(MAX_JSON_BYTES);
        assert!(matches!(
            &so_far([thought(&long), signed("s"), call("{}"), said("a")])[..],
            [Part::ToolCall { .. }, Part::Text { .. }]
        ));
        assert_eq!(so_far([said("a"), call(&long)]), [text("a")]);
        // Every byte of it six in JSON.
        let worst = "\u{1}".repeat(MAX_TEXT_BYTES);
        assert_eq!(so_far([said(&worst), call("{}"), call(&long)]), [text(&worst)]);
        assert!(fits(&[text(&worst)]));
    }

    #[test]
    fn text_ends_where_there_is_no_more_room() {
        let full = pushed(Parts::default(), [said(&"x".repeat(MAX_TEXT_BYTES - 3))]);
        assert_eq!(full.fit(said("éé")), (said("é"), false), "no character is cut");
        assert_eq!(full.fit(said("éx")), (said("éx"), true));
        assert_eq!(full.fit(thought("a long thought")), (thought("a long thought"), true));
        let on = Parts::after(Some("x".repeat(MAX_TEXT_BYTES)));
        assert_eq!(on.fit(said("a")), (said(""), false));
    }

    #[test]
    fn an_attempt_that_goes_on_says_what_was_said_before_as_its_own() {
        let on = |chunks: &[Chunk]| pushed(Parts::after(Some("a".to_owned())), chunks.to_vec());
        assert_eq!(on(&[]).whole(), Some(vec![text("a")]));
        assert_eq!(on(&[said(" b"), said(" c")]).whole(), Some(vec![text("a b c")]));
        assert_eq!(on(&[said(" b")]).so_far(), [text("a b")]);
        let mistral: ModelRef = "mistral/mistral-large-4".parse().unwrap_or_else(|_| unreachable!());
        assert!(on(&[said(" b")]).are_continuable(&mistral));
        assert!(!on(&[said(" b")]).are_continuable(&model()), "that one cannot");
        for more in [thought("hm"), signed("s"), call("{}")] {
            assert!(!on(std::slice::from_ref(&more)).are_continuable(&mistral), "{more:?}");
        }
    }
}
