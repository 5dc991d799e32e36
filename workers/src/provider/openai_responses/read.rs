//! What the events of an answer mean.

use domain::conversation::Finish;
use serde::Deserialize;
use serde_json::Value;

use super::input::Thought;
use super::usage;
use crate::provider::answer::Answer;
use crate::provider::refusal::Refusal;
use crate::provider::wire::{Read, Record};

/// The most items of an answer: thoughts, messages, tool calls, and what we do not know.
const MAX_ITEMS: usize = 1024;
const NOT_AN_EVENT: &str = "the provider sent something that is not an event of a response";

/// Reads one answer.
#[derive(Debug, Default)]
pub(super) struct Reader {
    /// In the order in which they began: the key of one is its place.
    items: Vec<Seen>,
    refused: bool,
}

/// What an item has told so far.
#[derive(Debug, Default)]
struct Seen {
    /// Not its own alone: servers give it to the next item as well, or to every one.
    index: u64,
    /// Tells it from others of the index; empty where it has none.
    id: String,
    /// Text, thought or arguments arrived in pieces: the whole item, which follows, says nothing new.
    told: bool,
    /// Which part of a thought's summary is being told.
    summary: u64,
    opened: bool,
    ended: bool,
}

#[derive(Deserialize)]
struct Kind {
    #[serde(rename = "type")]
    kind: String,
}

/// A piece of an item.
#[derive(Deserialize)]
struct Delta {
    #[serde(default)]
    output_index: u64,
    item_id: Option<String>,
    #[serde(default)]
    summary_index: u64,
    #[serde(alias = "delta", alias = "arguments")]
    piece: String,
}

#[derive(Deserialize)]
struct Whole {
    #[serde(default)]
    output_index: u64,
    item: Value,
}

#[derive(Deserialize)]
struct End {
    response: Response,
}

/// A response as its last event, or a document, has it.
#[derive(Deserialize)]
struct Response {
    status: Option<String>,
    error: Option<Value>,
    incomplete_details: Option<Value>,
    usage: Option<Value>,
    output: Option<Vec<Value>>,
}

impl Read for Reader {
    fn take(&mut self, record: &Record, answer: &mut Answer) -> Result<(), Refusal> {
        let json = record.data.as_str();
        // Compatible servers end with this too; what ends an answer is its last event.
        if json.trim() == "[DONE]" {
            return Ok(());
        }
        if is_kind(&record.name) {
            return self.take_event(&record.name, json, answer);
        }
        match serde_json::from_str::<Kind>(json) {
            Ok(event) if is_kind(&event.kind) => self.take_event(&event.kind, json, answer),
            _ => self.take_stray(json, answer),
        }
    }

    fn take_document(&mut self, json: &[u8], answer: &mut Answer) -> Result<(), Refusal> {
        let json = std::str::from_utf8(json).map_err(|_| Refusal::protocol(NOT_AN_EVENT))?;
        self.take_stray(json, answer)
    }
}

fn is_kind(name: &str) -> bool {
    name == "error" || name.starts_with("response.")
}

fn parse<'de, T: Deserialize<'de>>(json: &'de str) -> Result<T, Refusal> {
    serde_json::from_str(json).map_err(|_| Refusal::protocol(NOT_AN_EVENT))
}

impl Reader {
    fn take_event(&mut self, kind: &str, json: &str, answer: &mut Answer) -> Result<(), Refusal> {
        answer.begin();
        match kind {
            "response.output_text.delta" => self.text(&parse(json)?, answer),
            "response.refusal.delta" => {
                self.refused = true;
                self.text(&parse(json)?, answer)
            }
            "response.reasoning_summary_text.delta" | "response.reasoning_text.delta" => {
                self.thought(&parse(json)?, answer)
            }
            "response.function_call_arguments.delta" => self.arguments(&parse(json)?, answer),
            "response.function_call_arguments.done" => {
                let whole: Delta = parse(json)?;
                let place = self.place_of(&whole, answer)?;
                if self.items[place].told { Ok(()) } else { self.arguments(&whole, answer) }
            }
            "response.output_item.added" => self.begin(&parse(json)?, answer),
            "response.output_item.done" => {
                let whole: Whole = parse(json)?;
                self.end_item(whole.output_index, &whole.item, answer)
            }
            "response.completed" | "response.incomplete" | "response.failed" | "response.cancelled" => {
                let end: End = parse(json)?;
                self.end(end.response, answer)
            }
            "error" => Err(refusal(&parse(json)?)),
            // `response.created` and the like say nothing; of kinds to come we know nothing. Both are signs of life.
            _ => Ok(()),
        }
    }

    /// JSON that names no event: an error, or a whole response.
    fn take_stray(&mut self, json: &str, answer: &mut Answer) -> Result<(), Refusal> {
        let value: Value = parse(json)?;
        // A whole response has an `error` of its own, usually null.
        if value.get("object").is_some_and(|object| object == "response") {
            answer.begin();
            return self.end(serde_json::from_value(value).map_err(|_| Refusal::protocol(NOT_AN_EVENT))?, answer);
        }
        match Refusal::find(&value) {
            Some(_) => Err(refusal(&value)),
            None if value.is_object() => Ok(()),
            None => Err(Refusal::protocol(NOT_AN_EVENT)),
        }
    }

    /// The item of this index that goes by this id; else the one that is being told under the index: not every server gives
    /// ids, and some give another one with each event.
    fn find(&self, index: u64, id: &str) -> Option<usize> {
        let named = |item: &Seen| item.index == index && !id.is_empty() && item.id == id;
        let last = || self.items.iter().rposition(|item| item.index == index);
        let is_open = |place: &usize| !self.items[*place].ended;
        self.items.iter().rposition(named).or_else(|| last().filter(is_open))
    }

    /// The same; a new one where there is none.
    fn place(&mut self, index: u64, id: &str, answer: &mut Answer) -> Result<usize, Refusal> {
        self.find(index, id).map_or_else(|| self.add(index, id, answer), Ok)
    }

    fn place_of(&mut self, delta: &Delta, answer: &mut Answer) -> Result<usize, Refusal> {
        self.place(delta.output_index, delta.item_id.as_deref().unwrap_or_default(), answer)
    }

    fn add(&mut self, index: u64, id: &str, answer: &mut Answer) -> Result<usize, Refusal> {
        if self.items.len() >= MAX_ITEMS {
            return Err(Refusal::protocol("the answer has more than 1024 items"));
        }
        answer.hold(id.len())?;
        self.items.push(Seen { index, id: id.to_owned(), ..Seen::default() });
        Ok(self.items.len() - 1)
    }

    fn text(&mut self, delta: &Delta, answer: &mut Answer) -> Result<(), Refusal> {
        let place = self.place_of(delta, answer)?;
        self.items[place].told |= !delta.piece.is_empty();
        answer.text(&delta.piece)
    }

    fn thought(&mut self, delta: &Delta, answer: &mut Answer) -> Result<(), Refusal> {
        let place = self.place_of(delta, answer)?;
        let item = &mut self.items[place];
        item.told |= !delta.piece.is_empty();
        if delta.summary_index > item.summary {
            item.summary = delta.summary_index;
            answer.reasoning("\n\n")?;
        }
        answer.reasoning(&delta.piece)
    }

    fn arguments(&mut self, delta: &Delta, answer: &mut Answer) -> Result<(), Refusal> {
        let place = self.place_of(delta, answer)?;
        let item = &mut self.items[place];
        // Of a call that nobody announced, the name comes with the whole item, and the arguments once more.
        if !item.opened || item.ended {
            return Ok(());
        }
        item.told |= !delta.piece.is_empty();
        answer.arguments(&place.to_string(), &delta.piece)
    }

    fn begin(&mut self, whole: &Whole, answer: &mut Answer) -> Result<(), Refusal> {
        let (index, id, is_call) = (whole.output_index, text(&whole.item, "id"), is_call(&whole.item));
        let found = self.find(index, id).filter(|place| self.items[*place].may_begin(id, is_call));
        let place = found.map_or_else(|| self.add(index, id, answer), Ok)?;
        if !is_call || std::mem::replace(&mut self.items[place].opened, true) {
            return Ok(());
        }
        answer.tool(&place.to_string(), text(&whole.item, "call_id"), text(&whole.item, "name"))
    }

    fn end_item(&mut self, index: u64, whole: &Value, answer: &mut Answer) -> Result<(), Refusal> {
        let place = self.place(index, text(whole, "id"), answer)?;
        let item = &mut self.items[place];
        if item.ended {
            return Ok(());
        }
        item.ended = true;
        let (told, opened) = (item.told, item.opened);
        match text(whole, "type") {
            "function_call" => {
                let key = place.to_string();
                if !opened {
                    answer.tool(&key, text(whole, "call_id"), text(whole, "name"))?;
                }
                // What was told of an item that is no call were no arguments.
                if !told || !opened {
                    answer.arguments(&key, text(whole, "arguments"))?;
                }
                answer.end_tool(&key)
            }
            "message" if !told => {
                let parts = || whole.get("content").and_then(Value::as_array).into_iter().flatten();
                self.refused |= parts().any(|part| text(part, "type") == "refusal");
                parts().try_for_each(|part| {
                    answer.text(text(part, "text")).and_then(|()| answer.text(text(part, "refusal")))
                })
            }
            "reasoning" => {
                if !told {
                    answer.reasoning(&thoughts(whole))?;
                }
                seal(whole).map_or(Ok(()), |signature| answer.reasoning_signature(&signature))
            }
            _ => Ok(()),
        }
    }

    fn end(&mut self, response: Response, answer: &mut Answer) -> Result<(), Refusal> {
        if let Some(usage) = &response.usage {
            answer.usage(usage::read(usage));
        }
        // Told in pieces, its items are known. A document, or a server that only says the end, has them here.
        if self.items.is_empty() {
            for (index, item) in (0..).zip(response.output.iter().flatten()) {
                self.end_item(index, item, answer)?;
            }
        }
        let status = response.status.as_deref().unwrap_or("completed");
        match (status, response.error) {
            (_, Some(error)) if !error.is_null() => return Err(refusal(&error)),
            ("failed" | "cancelled", _) => return Err(Refusal::interrupted("the provider broke the answer off")),
            _ => {}
        }
        let reason = response.incomplete_details.as_ref().map(|details| text(details, "reason")).unwrap_or_default();
        answer.finish(match (status, reason) {
            (_, "max_output_tokens") => Finish::Length,
            (_, "content_filter") => Finish::ContentFilter,
            ("completed", _) if self.refused => Finish::ContentFilter,
            ("completed", _) => Finish::Stop,
            _ => Finish::Other,
        });
        answer.done();
        Ok(())
    }
}

impl Seen {
    /// Whether an item that is announced under this id, a call or none, can be this one: said twice, or told in pieces
    /// before.
    fn may_begin(&self, id: &str, is_call: bool) -> bool {
        let is_other = !id.is_empty() && !self.id.is_empty() && self.id != id;
        let is_no_call = self.told && !self.opened;
        !(self.ended || is_other || is_call && is_no_call)
    }
}

fn is_call(item: &Value) -> bool {
    text(item, "type") == "function_call"
}

fn text<'v>(value: &'v Value, key: &str) -> &'v str {
    value.get(key).and_then(Value::as_str).unwrap_or_default()
}

/// What a thought says of itself: its summary, or where a model hides nothing, the thought.
fn thoughts(item: &Value) -> String {
    let texts = |key| item.get(key).and_then(Value::as_array).into_iter().flatten().map(|part| text(part, "text"));
    let told: Vec<_> = texts("summary").filter(|text| !text.is_empty()).collect();
    let told = if told.is_empty() { texts("content").collect() } else { told };
    told.join("\n\n")
}

/// What gives the thought back to its model; none where the provider sealed nothing.
fn seal(item: &Value) -> Option<String> {
    let encrypted_content = item.get("encrypted_content")?.as_str()?.to_owned();
    let id = item.get("id").and_then(Value::as_str).map(str::to_owned);
    serde_json::to_string(&Thought { id, encrypted_content }).ok()
}

/// An error of the provider. Some of its codes mean more than their words say.
fn refusal(error: &Value) -> Refusal {
    let refusal = Refusal::find(error).unwrap_or_else(|| Refusal::flat(error));
    let code = error.get("code").or_else(|| error.pointer("/error/code")).and_then(Value::as_str).unwrap_or_default();
    let is_invalid = ["invalid_", "unsupported_", "image_", "empty_image", "failed_to_download_image"];
    // `invalid_prompt` and what is wrong with an image: the same request is refused again.
    if is_invalid.iter().any(|prefix| code.starts_with(prefix)) { refusal.or_status(400) } else { refusal }
}
