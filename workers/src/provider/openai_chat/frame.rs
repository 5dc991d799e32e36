//! The shapes of what a server answers, read tolerantly: what we do not know survives, what we need has a type.

use std::fmt;

use serde::de::value::SeqAccessDeserializer;
use serde::de::{SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use serde_json::value::RawValue;

/// An event of a stream, or a whole answer: they differ in `delta` and `message`.
#[derive(Debug, Deserialize)]
pub(super) struct Frame<'a> {
    /// Empty or absent in frames that only carry usage, filter results or a sign of life.
    pub(super) choices: Option<Vec<Choice>>,
    pub(super) usage: Option<Value>,
    /// Groq says its usage here too.
    pub(super) x_groq: Option<Value>,
    pub(super) error: Option<Value>,
    #[serde(borrow)]
    object: Option<&'a RawValue>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Choice {
    pub(super) index: Option<u64>,
    pub(super) delta: Option<Saying>,
    pub(super) message: Option<Saying>,
    /// Open: servers have reasons of their own, and `SGLang` sends an empty one while it runs.
    pub(super) finish_reason: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct Saying {
    pub(super) content: Option<Content>,
    /// `OpenAI`: the text of a refusal, in place of the content.
    pub(super) refusal: Option<String>,
    /// `DeepSeek` and those who followed it.
    reasoning_content: Option<Value>,
    /// Groq, `OpenRouter`, newer vLLM; some say the same under both names.
    reasoning: Option<Value>,
    /// What `OpenRouter` says beside, and now and then instead.
    pub(super) reasoning_details: Option<Value>,
    pub(super) tool_calls: Option<Vec<ToolCall>>,
    /// How tools were called before there were several in an answer; some servers still do.
    pub(super) function_call: Option<Function>,
}

#[derive(Debug)]
pub(super) enum Content {
    Text(String),
    Parts(Vec<ContentPart>),
}

/// Mistral: `{"type":"text","text":"…"}`, `{"type":"thinking","thinking":[…]}`.
#[derive(Debug, Deserialize)]
pub(super) struct ContentPart {
    pub(super) text: Option<String>,
    pub(super) thinking: Option<Value>,
}

/// A tool call, or a fragment of one.
#[derive(Debug, Default, Deserialize)]
pub(super) struct ToolCall {
    /// Which of the answer's calls; some servers leave it out, some always say 0.
    pub(super) index: Option<u64>,
    pub(super) id: Option<String>,
    pub(super) function: Option<Function>,
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct Function {
    pub(super) name: Option<String>,
    /// Text, as it is documented; an object, as some servers have it.
    arguments: Option<Value>,
}

/// What a model thought, and the field that said so.
pub(super) struct Thought {
    pub(super) field: &'static str,
    pub(super) text: String,
}

impl Frame<'_> {
    /// Whether it is an error in place of an answer.
    pub(super) fn is_error(&self) -> bool {
        self.error.is_some() || self.object.is_some_and(|object| object.get() == r#""error""#)
    }
}

/// By hand, since what is derived would look at every piece of text twice.
impl<'de> Deserialize<'de> for Content {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TextOrParts;

        impl<'de> Visitor<'de> for TextOrParts {
            type Value = Content;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text, or a list of parts")
            }

            fn visit_str<E>(self, text: &str) -> Result<Content, E> {
                Ok(Content::Text(text.to_owned()))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, parts: A) -> Result<Content, A::Error> {
                Deserialize::deserialize(SeqAccessDeserializer::new(parts)).map(Content::Parts)
            }
        }

        deserializer.deserialize_any(TextOrParts)
    }
}

impl Saying {
    /// What the model thinks, in whatever field it is told.
    pub(super) fn thought(&self) -> Option<Thought> {
        let fields = [
            ("reasoning_content", &self.reasoning_content),
            ("reasoning", &self.reasoning),
            ("reasoning_details", &self.reasoning_details),
        ];
        fields.into_iter().find_map(|(field, value)| {
            let text = value.as_ref().map(words).filter(|text| !text.is_empty())?;
            Some(Thought { field, text })
        })
    }
}

impl Function {
    /// The arguments, or the next piece of them.
    pub(super) fn arguments(&self) -> String {
        match &self.arguments {
            None | Some(Value::Null) => String::new(),
            Some(Value::String(text)) => text.clone(),
            Some(object) => object.to_string(),
        }
    }
}

/// The words in whatever holds them: a text, a list, an object with a text in it.
pub(super) fn words(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(items) => items.iter().map(words).collect(),
        Value::Object(fields) => {
            let texts = ["text", "thinking", "summary", "content"];
            texts.iter().find_map(|key| fields.get(*key)).map(words).unwrap_or_default()
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => String::new(),
    }
}
