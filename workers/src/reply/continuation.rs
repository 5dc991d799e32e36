//! How an attempt goes on where the one before it broke off: the prompt ends with what that one had said, and the model says
//! what follows (docs/adr/0023).

use domain::ModelRef;
use domain::conversation::Part;
use futures::StreamExt;
use futures::stream::{self, BoxStream};

use crate::provider::{Chunk, Error, known};

/// A piece of an answer, or its end.
type Told = Result<Chunk, Error>;

/// What an attempt said, as another goes on from it: text and nothing else, since thoughts and calls cannot be begun for a
/// model. Without the white space at its end, which Anthropic refuses there: the model says it again.
pub(super) fn text(said: &[Part]) -> Option<&str> {
    let [Part::Text { text }] = said else { return None };
    Some(text.trim_end()).filter(|text| !text.is_empty())
}

/// Whether an attempt of this model can go on from what was said.
pub(crate) fn is_possible(model: &ModelRef, said: &[Part]) -> bool {
    known::prefills(model) && text(said).is_some()
}

/// The answer without what the prompt ends with, which Mistral tells once more. Nobody is told of a piece before it is clear
/// that it is none of that.
pub(super) fn without_echo(chunks: BoxStream<'_, Told>, before: Option<String>) -> BoxStream<'_, Told> {
    let Some(before) = before else { return chunks };
    let mut echo = Echo { before, heard: Some(0) };
    chunks.flat_map(move |told| stream::iter(echo.take(told))).boxed()
}

/// Listens for a text that is told once more.
struct Echo {
    before: String,
    /// How much of it has come; none once it is clear whether it comes.
    heard: Option<usize>,
}

impl Echo {
    /// What there is to pass on.
    fn take(&mut self, told: Told) -> Vec<Told> {
        let Some(heard) = self.heard else { return vec![told] };
        match told {
            Ok(Chunk::Text(piece)) => self.take_text(heard, piece),
            // The same words again, and then the end: those were meant.
            Ok(end @ Chunk::Finished { .. }) => self.give_back(heard).into_iter().chain([Ok(end)]).collect(),
            // A text that broke off within its echo has not begun.
            other => vec![other],
        }
    }

    fn take_text(&mut self, heard: usize, piece: String) -> Vec<Told> {
        let awaited = &self.before[heard..];
        if let Some(rest) = piece.strip_prefix(awaited) {
            self.heard = None;
            let rest = Some(rest).filter(|rest| !rest.is_empty());
            return rest.map(|rest| Ok(Chunk::Text(rest.to_owned()))).into_iter().collect();
        }
        if awaited.starts_with(&piece) {
            self.heard = Some(heard + piece.len());
            return Vec::new();
        }
        self.give_back(heard).into_iter().chain([Ok(Chunk::Text(piece))]).collect()
    }

    /// What was taken for an echo and is none.
    fn give_back(&mut self, heard: usize) -> Option<Told> {
        self.heard = None;
        (heard > 0).then(|| Ok(Chunk::Text(self.before[..heard].to_owned())))
    }
}

#[cfg(test)]
mod tests {
    use domain::conversation::{Finish, Usage};

    use super::*;
    use crate::provider::ErrorKind;

    fn said(text: &str) -> Vec<Part> {
        vec![Part::Text { text: text.to_owned() }]
    }

    fn broke_off() -> Told {
        Err(Error::new(ErrorKind::Interrupted, "broke off"))
    }

    fn end() -> Chunk {
        Chunk::Finished { finish: Finish::Stop, usage: Usage::default() }
    }

    /// What is heard of these pieces, and of what follows them, by an attempt that goes on from `before`.
    async fn heard(before: &str, pieces: &[&str], then: Told) -> (String, Vec<Told>) {
        let pieces = pieces.iter().map(|piece| Ok(Chunk::Text((*piece).to_owned())));
        let chunks = stream::iter(pieces.chain([then]).collect::<Vec<_>>()).boxed();
        let mut text = String::new();
        let mut rest = Vec::new();
        for told in without_echo(chunks, Some(before.to_owned())).collect::<Vec<_>>().await {
            match told {
                Ok(Chunk::Text(piece)) => text.push_str(&piece),
                other => rest.push(other),
            }
        }
        (text, rest)
    }

    #[test]
    fn an_attempt_goes_on_from_text_alone() {
        let model: ModelRef = "a/b".parse().unwrap();
        let thought = Part::Reasoning { text: "hm".to_owned(), signature: None, model: model.clone() };
        assert_eq!(text(&said("one two \n")), Some("one two"));
        for not in [vec![], said(" \n"), vec![thought.clone()], [vec![thought], said("one")].concat()] {
            assert_eq!(text(&not), None, "{not:?}");
        }
        let mistral = "mistral/mistral-large-4".parse().unwrap();
        assert!(is_possible(&mistral, &said("one")));
        assert!(!is_possible(&mistral, &said(" ")));
        assert!(!is_possible(&model, &said("one")), "nobody knows that it goes on");
        assert!(!is_possible(&"anthropic/claude-opus-5".parse().unwrap(), &said("one")));
    }

    #[tokio::test]
    async fn what_is_told_once_more_is_left_out_however_it_is_cut() {
        for (pieces, expected) in [
            (vec!["Grüße aus", " Oslo"], " Oslo"),
            (vec!["Gr", "üße ", "aus Oslo"], " Oslo"),
            (vec!["Grüße aus"], ""),
            (vec!["Grüße aus", "Grüße aus"], "Grüße aus"),
            // It is none.
            (vec![" Oslo"], " Oslo"),
            (vec!["Grüße", " an alle"], "Grüße an alle"),
            (vec!["Grüße", " a"], "Grüße a"),
            (vec![], ""),
        ] {
            assert_eq!(
                heard("Grüße aus", &pieces, Ok(end())).await,
                (expected.to_owned(), vec![Ok(end())]),
                "{pieces:?}"
            );
        }
    }

    #[tokio::test]
    async fn an_echo_that_breaks_off_is_none_of_the_answer() {
        assert_eq!(heard("Grüße aus", &["Grü"], broke_off()).await, (String::new(), vec![broke_off()]));
        assert_eq!(heard("Grüße aus", &["Grüne"], broke_off()).await, ("Grüne".to_owned(), vec![broke_off()]));
    }

    #[tokio::test]
    async fn an_answer_that_begins_anew_is_heard_whole() {
        let chunks = stream::iter([Ok(Chunk::Text("Grüße".to_owned())), Ok(end())]).boxed();
        let told: Vec<_> = without_echo(chunks, None).collect().await;
        assert_eq!(told, [Ok(Chunk::Text("Grüße".to_owned())), Ok(end())]);
    }
}
