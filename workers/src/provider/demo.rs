//! The demo provider: no model, but a first answer without a key, and a way to see slow, long and failing replies.
//!
//! The same prompt gives the same words. Its usage counts words, since it has no tokens.

use std::fmt::Write as _;
use std::time::Duration;

use domain::conversation::{Finish, Usage};
use futures::future::BoxFuture;
use futures::stream::{self, BoxStream};
use futures::{FutureExt, StreamExt};

use super::{Chunk, Error, ErrorKind, Model, PromptMessage, Provider, ProviderConfig, Request, Role};

/// Words a second, as a model of middling speed has them.
const WORDS_PER_SECOND: u32 = 30;
const SLOW_WORDS_PER_SECOND: u32 = 5;
/// After how many words `fail` and `cut` have their effect.
const WORDS_BEFORE_FAILURE: usize = 12;
const LONG_SENTENCES: usize = 300;
const MAX_QUOTE_CHARS: usize = 120;

/// Answers without a model.
#[derive(Clone, Copy, Debug, Default)]
pub struct Demo;

impl Provider for Demo {
    fn stream(&self, request: Request) -> BoxStream<'static, Result<Chunk, Error>> {
        let question = request.messages.iter().rfind(|message| message.role == Role::User);
        let question = &question.map(said).unwrap_or_default();
        let commands = Commands::read(question);
        let answer = answer(question, &request.messages, &commands);
        let end = commands.end(&request.messages, &answer);

        let mut items: Vec<_> = answer.split_inclusive(' ').map(|word| Ok(Chunk::Text(word.to_owned()))).collect();
        if end.is_err() {
            items.truncate(WORDS_BEFORE_FAILURE);
        }
        items.push(end);
        let pause = commands.pause();
        stream::iter(items.into_iter().enumerate())
            .then(move |(position, item)| async move {
                // The first word comes at once: what is shown is the backend's speed, not a pretended model's.
                match pause {
                    Some(pause) if position > 0 => tokio::time::sleep(pause).await,
                    _ => tokio::task::yield_now().await,
                }
                item
            })
            .boxed()
    }

    fn models(&self) -> BoxFuture<'static, Result<Vec<Model>, Error>> {
        let models = ProviderConfig::demo().models;
        let models = models.into_iter().map(|model| Model { id: model.id, context_window: model.context_window });
        std::future::ready(Ok(models.collect())).boxed()
    }
}

/// Something that a question can tell the demo to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Command {
    Slow,
    Instant,
    Long,
    Fail,
    Cut,
}

impl Command {
    fn read(word: &str) -> Option<Self> {
        match word.to_lowercase().as_str() {
            "slow" => Some(Self::Slow),
            "instant" => Some(Self::Instant),
            "long" => Some(Self::Long),
            "fail" => Some(Self::Fail),
            "cut" => Some(Self::Cut),
            _ => None,
        }
    }
}

struct Commands(Vec<Command>);

impl Commands {
    /// Reads the words at the question's beginning as long as they are commands, and those behind a slash anywhere:
    /// "how long does it take" is a question.
    fn read(question: &str) -> Self {
        let mut leading = true;
        let commands = question.split_whitespace().filter_map(|word| {
            let word = word.trim_end_matches(|c: char| c.is_ascii_punctuation());
            if let Some(word) = word.strip_prefix('/') {
                return Command::read(word);
            }
            let command = Command::read(word).filter(|_| leading);
            leading = command.is_some();
            command
        });
        Self(commands.collect())
    }

    fn has(&self, command: Command) -> bool {
        self.0.contains(&command)
    }

    fn pause(&self) -> Option<Duration> {
        if self.has(Command::Instant) {
            return None;
        }
        let words = if self.has(Command::Slow) { SLOW_WORDS_PER_SECOND } else { WORDS_PER_SECOND };
        Some(Duration::from_secs(1) / words)
    }

    fn end(&self, prompt: &[PromptMessage], answer: &str) -> Result<Chunk, Error> {
        if self.has(Command::Fail) {
            return Err(Error::new(ErrorKind::Invalid, "The demo failed because the message told it to."));
        }
        if self.has(Command::Cut) {
            return Err(Error::new(ErrorKind::Interrupted, "The demo broke off because the message told it to."));
        }
        let usage = Usage {
            input: Some(prompt.iter().map(|message| words(&said(message))).sum()),
            output: Some(words(answer)),
            ..Usage::default()
        };
        Ok(Chunk::Finished { finish: Finish::Stop, usage })
    }
}

/// What a message says, its pieces of text as paragraphs.
fn said(message: &PromptMessage) -> String {
    message.texts().collect::<Vec<_>>().join("\n\n")
}

fn words(text: &str) -> u64 {
    text.split_whitespace().count() as u64
}

fn answer(question: &str, prompt: &[PromptMessage], commands: &Commands) -> String {
    let turn = prompt.iter().filter(|message| message.role == Role::User).count();
    let quote = quote(question);
    let mut answer = format!(
        "**This is BestChat's demo, not a model.** It understands nothing; it only shows how a reply travels.\n\n\
         You wrote:\n\n> {quote}\n\n\
         That is message {turn} of this branch. Your message became an event in Postgres, a worker took the reply, \
         and every word that you see arrives over NATS.\n\n"
    );
    if commands.has(Command::Long) {
        for sentence in 1..=LONG_SENTENCES {
            let end = if sentence % 10 == 0 { "\n\n" } else { " " };
            // Writing to a string cannot fail.
            _ = write!(answer, "Sentence {sentence} of {LONG_SENTENCES} is here only to make this answer long.{end}");
        }
    }
    answer.push_str(MANUAL);
    answer
}

const MANUAL: &str = "\
### Try this

- Reload the page now: the answer goes on, nothing missing, nothing twice.
- Open a second tab: both follow the same reply.
- Stop the answer, ask for another one, or edit your message into a branch.
- Begin a message with one or more commands, or put a slash before a command anywhere (`/slow`):

| Command | What happens |
|---|---|
| `slow` | five words a second |
| `instant` | no pauses |
| `long` | several thousand words |
| `fail` | an error after a few words |
| `cut` | the answer breaks off, and is tried again |

### Use a real model

Put this into `bestchat.toml` and start again:

```toml
default_model = \"openai/gpt-5-mini\"

[[providers]]
id = \"openai\"
protocol = \"openai-chat\"
base_url = \"https://api.openai.com/v1\"
api_key = \"sk-...\"
```
";

/// The question's beginning on one line, with nothing in it that Markdown would take for its own.
fn quote(question: &str) -> String {
    let line = question.split_whitespace().collect::<Vec<_>>().join(" ");
    if line.is_empty() {
        return "(nothing)".to_owned();
    }
    let mut quote = String::new();
    for c in line.chars().take(MAX_QUOTE_CHARS) {
        if c.is_ascii_punctuation() && !matches!(c, '.' | ',' | ';' | ':' | '?' | '\'' | '"' | '-' | '/' | '%') {
            quote.push('\\');
        }
        quote.push(c);
    }
    if line.chars().count() > MAX_QUOTE_CHARS {
        quote.push('…');
    }
    quote
}
