//! The text of a running reply as an edge puts it together from its pieces.

use std::collections::BTreeMap;

use nats::live::Delta;

/// The most pieces kept aside while the text before them is fetched.
const MAX_ASIDE: usize = 512;

/// A reply's text, as far as it is known without a gap.
#[derive(Debug, Default)]
pub(super) struct LiveReply {
    /// The attempt that the log says is running; 0 before it says so.
    pub(super) begun: u32,
    /// The attempt whose text this is.
    pub(super) attempt: u32,
    pub(super) text: String,
    /// Pieces that begin after the text's end, by their offset.
    aside: BTreeMap<usize, String>,
    /// Whether the text before them is being fetched.
    fetching: bool,
    /// Whether any piece came since the last look.
    heard: bool,
}

impl LiveReply {
    /// Takes a piece in; says whether the text before it must be fetched, which is said once.
    pub(super) fn take(&mut self, delta: &Delta) -> bool {
        if delta.attempt < self.attempt {
            return false;
        }
        if delta.attempt > self.attempt {
            self.attempt = delta.attempt;
            self.text.clear();
            self.aside.clear();
        }
        self.heard = true;
        if delta.thinking {
            return false;
        }
        if delta.offset > self.text.len() {
            if self.aside.len() < MAX_ASIDE {
                self.aside.insert(delta.offset, delta.text.clone());
            }
            return !std::mem::replace(&mut self.fetching, true);
        }
        self.append(delta.offset, &delta.text);
        self.join_aside();
        false
    }

    /// Whether the text is whole: nothing was kept aside that does not join it yet.
    pub(super) fn is_whole(&self) -> bool {
        self.aside.is_empty()
    }

    /// Takes the text so far in; says whether no more fetching is needed.
    pub(super) fn resume(&mut self, whole: Option<&Delta>) -> bool {
        if let Some(whole) = whole {
            self.take(whole);
        }
        self.fetching = !self.is_whole();
        !self.fetching
    }

    /// Whether no piece came since the last look.
    pub(super) fn was_silent(&mut self) -> bool {
        !std::mem::take(&mut self.heard)
    }

    /// Says that the text so far is being fetched; false when it already is.
    pub(super) fn begin_fetching(&mut self) -> bool {
        !std::mem::replace(&mut self.fetching, true)
    }

    fn append(&mut self, offset: usize, text: &str) {
        let known = self.text.len() - offset;
        // Pieces are cut between characters, so a piece that overlaps is the same text up to where ours ends.
        if let Some(rest) = text.get(known..) {
            self.text.push_str(rest);
        }
    }

    fn join_aside(&mut self) {
        while let Some(entry) = self.aside.first_entry() {
            if *entry.key() > self.text.len() {
                return;
            }
            let (offset, text) = entry.remove_entry();
            self.append(offset, &text);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn delta(attempt: u32, offset: usize, text: &str) -> Delta {
        Delta { attempt, offset, text: text.to_owned(), thinking: false }
    }

    #[test]
    fn pieces_join_whatever_overlaps_or_comes_first() {
        let mut reply = LiveReply::default();
        assert!(!reply.take(&delta(1, 0, "He")));
        assert!(reply.take(&delta(1, 4, "o, ")), "the text before it must be fetched");
        assert!(!reply.take(&delta(1, 7, "wörld")), "which is said once");
        assert!(!reply.is_whole());
        assert!(reply.resume(Some(&delta(1, 0, "Hello"))));
        assert_eq!(reply.text, "Hello, wörld");
        reply.take(&delta(1, 3, "lo, wörld!"));
        assert_eq!(reply.text, "Hello, wörld!");
    }

    #[test]
    fn a_resumed_text_that_is_too_old_does_not_end_the_fetching() {
        let mut reply = LiveReply::default();
        assert!(reply.take(&delta(1, 6, "three")));
        assert!(!reply.resume(Some(&delta(1, 0, "one"))));
        assert!(reply.resume(Some(&delta(1, 0, "onetwo"))));
        assert_eq!(reply.text, "onetwothree");
    }

    #[test]
    fn a_reply_is_silent_until_a_piece_comes_and_again_after_the_look() {
        let mut reply = LiveReply::default();
        assert!(reply.was_silent());
        reply.take(&delta(1, 0, "one"));
        assert!(!reply.was_silent());
        assert!(reply.was_silent());
    }

    #[test]
    fn a_sign_of_life_changes_no_text() {
        let mut reply = LiveReply::default();
        reply.take(&delta(1, 0, "one"));
        assert!(!reply.take(&Delta { thinking: true, ..delta(1, 0, "") }));
        assert_eq!(reply.text, "one");
        reply.take(&Delta { thinking: true, ..delta(2, 0, "") });
        assert_eq!((reply.attempt, reply.text.as_str()), (2, ""), "it begins an attempt as text does");
    }

    #[test]
    fn a_new_attempt_replaces_the_text_and_an_old_one_is_not_heard() {
        let mut reply = LiveReply::default();
        reply.take(&delta(1, 0, "first"));
        reply.take(&delta(2, 0, "second"));
        reply.take(&delta(1, 5, " more"));
        assert_eq!((reply.attempt, reply.text.as_str()), (2, "second"));
    }
}
