// The types of the wire, version 1; docs/protocol.md says what they mean.
// Generated from api/src/, domain/src/*/event.rs and projections/src/
// by `make types`: change those, not this.

/** A model of the catalogue. */
export type CatalogModel = {
    /** Its reference, `provider/model`. */
    id: string,
    /** How people read it. */
    label: string,
    /** How many tokens it can read and write in one call, if known. */
    context_window: number | null,
    /** Whether it answers where nobody chose a model. None is marked where the workers alone know. */
    default: boolean,
    /** How many tokens it can write in one call, if known. */
    max_output: number | null,
    /** What it is known to take beside text: `image`, `file`. */
    takes: Array<string>,
    /** What it is known to be able to do: `tools`, `cache`, `reasoning`. */
    can: Array<string>,
    /** What it costs, if known; as of the day on which the edge was started. */
    price: PriceView | null };

/** A command as a client words it. Ids may be left out: they then follow from the command's id. */
export type ClientCommand = { "type": "StartConversation",
    /** Its title. */
    title?: string,
    /** The model that shall answer, `provider/model`. */
    model?: string,
    /** What the model is told before the first message. */
    system_prompt?: string }
  | { "type": "RenameConversation",
    /** The new title. */
    title: string }
  | { "type": "ConfigureModel",
    /** The model, `provider/model`. */
    model?: string,
    /** The system prompt. */
    system_prompt?: string }
  | { "type": "SubmitMessage",
    /** The text, in Markdown. */
    text: string,
    /** The message that it follows: left out, the active leaf; null, the root. */
    parent?: string | null,
    /** The new message's id. */
    message?: string,
    /** The id of the reply. */
    reply?: string,
    /** Whether the model shall answer; it does unless told not to. */
    answer?: boolean }
  | { "type": "EditMessage",
    /** The message to word anew; it stays. */
    edit_of: MessageId,
    /** The text. */
    text: string,
    /** The new message's id. */
    message?: string,
    /** The id of the reply. */
    reply?: string,
    /** Whether the model shall answer; it does unless told not to. */
    answer?: boolean }
  | { "type": "RegenerateReply",
    /** The reply to word anew; it stays. */
    regenerate_of: MessageId,
    /** The new reply's id. */
    reply?: string }
  | { "type": "SelectBranch",
    /** A message of that branch; following the newest child at each step gives the active leaf. */
    message: MessageId }
  | { "type": "StopReply",
    /** Which. */
    reply: MessageId }
  | { "type": "AddParticipant",
    /** Who. */
    user: string }
  | { "type": "RemoveParticipant",
    /** Who. */
    user: string }
  | { "type": "ArchiveConversation" }
  | { "type": "UnarchiveConversation" }
  | { "type": "DeleteConversation" };

/** What a client may say. */
export type ClientFrame = { "type": "auth",
    /** A JWT of one of the configured issuers. */
    token: string }
  | { "type": "command",
    /** Chosen by the client: the same id again gives the first result again. */
    id: string,
    /** The conversation that it is asked of; for `StartConversation` an id chosen by the client. */
    conversation: string,
    /** Refuse unless the conversation's last event has this sequence. */
    expected_sequence?: number,
    /** The client's trace, as W3C Trace Context writes it, if it keeps one. */
    traceparent?: string,
    /** What is asked. */
    command: ClientCommand }
  | { "type": "subscribe",
    /** Which. */
    conversation: string,
    /** The last sequence that the client has; without one it gets a snapshot. */
    after?: number,
    /** How much of running replies the client has. */
    replies?: Array<ReplyCursor> }
  | { "type": "unsubscribe",
    /** Which. */
    conversation: string }
  | { "type": "typing",
    /** Where. */
    conversation: string }
  | { "type": "ping" };

/** A model of a provider, as a person names it. */
export type ConfiguredModel = {
    /** Its name at the provider. */
    id: string,
    /** How many tokens it can take in, question and answer together, if known. */
    context_window: number | null,
    /** How many tokens it can write in one call, its reasoning included, if known. */
    max_output?: number,
    /** What it costs; without this, what the catalogue knows. */
    price?: ConfiguredPrice };

/** What the tokens of a model cost, in micro-USD per million of them. */
export type ConfiguredPrice = {
    /** Input read anew. */
    input: number,
    /** Input read from the provider's cache; as other input where there is no price for it. */
    cached_read?: number,
    /** Input written to the provider's cache; as other input where there is no price for it. */
    cache_write?: number,
    /** Output. */
    output: number,
    /** Reasoning; as other output where there is no price for it. */
    reasoning?: number };

/** An event of a conversation. */
export type ConversationEvent = { "type": "ConversationStarted",
    /** Who owns it: may delete it and choose its participants. */
    owner: UserId,
    /** The tenant that the owner's login belongs to. */
    tenant: Tenant,
    /** Its title; without one, readers show the beginning of the first message. */
    title: string | null,
    /** The model that answers; without one, the installation's default. */
    model: ModelRef | null,
    /** What the model is told before the first message. */
    system_prompt: string | null }
  | { "type": "ConversationRenamed",
    /** The new title. */
    title: string }
  | { "type": "ModelConfigured",
    /** The model; none means the installation's default. */
    model: ModelRef | null,
    /** The system prompt; none means no system prompt. */
    system_prompt: string | null }
  | { "type": "ParticipantAdded",
    /** Who. */
    user: UserId }
  | { "type": "ParticipantRemoved",
    /** Who. */
    user: UserId }
  | { "type": "MessageSubmitted",
    /** The new message. */
    message: MessageId,
    /** The message that it follows; none at the root. */
    parent: MessageId | null,
    /** Who said it. */
    author: UserId,
    /** What was said. */
    parts: Array<Part>,
    /** The message that this one is another wording of: its sibling in the tree. */
    edit_of: MessageId | null }
  | { "type": "ReplyRequested",
    /** The reply: also the id of the assistant message that it becomes. */
    reply: MessageId,
    /** The message that it answers. */
    parent: MessageId,
    /** The model asked; none means the installation's default. */
    model: ModelRef | null,
    /** The reply that this one is another attempt at wording: its sibling in the tree. */
    regenerate_of: MessageId | null }
  | { "type": "ReplyAttemptStarted",
    /** The reply. */
    reply: MessageId,
    /** Which attempt, from 1. */
    attempt: number,
    /** The worker that took it. */
    worker: string,
    /** For how long the attempt counts as alive without a renewal, in milliseconds from when it was recorded. */
    lease_ms: number,
    /** The model that it asks; none when there is none to ask, and in events of earlier versions. */
    model?: ModelRef,
    /** How many models the route has that the reply was asked of; none without a route. */
    alternatives?: number,
    /** Whether it goes on from what the attempt before it had said, which that one's end holds: its own text begins with
 * that. Else it begins anew. */
    continues?: boolean }
  | { "type": "ReplyAttemptFailed",
    /** The reply. */
    reply: MessageId,
    /** The attempt that failed. */
    attempt: number,
    /** What went wrong. */
    error: ReplyError,
    /** What the attempt spent; none when no provider took it up. */
    spent?: Spent,
    /** Whether the next attempt asks the next model of the route, and at once. */
    switch?: boolean,
    /** For how long the provider wants to be left alone, in milliseconds; at most [`MAX_RETRY_AFTER_MS`].
 *
 * [`MAX_RETRY_AFTER_MS`]: super::MAX_RETRY_AFTER_MS */
    retry_after_ms?: number,
    /** What the model had said, if the next attempt can go on from it; else nothing. No reply shows it. */
    parts?: Array<Part> }
  | { "type": "ReplyAttemptExpired",
    /** The reply. */
    reply: MessageId,
    /** The attempt that ended. */
    attempt: number,
    /** What the attempt spent, by an estimate. */
    spent?: Spent,
    /** What the model was last seen to have said, if the next attempt can go on from it; else nothing. No reply shows it. */
    parts?: Array<Part> }
  | { "type": "ReplyStopRequested",
    /** The reply. */
    reply: MessageId }
  | { "type": "ReplyCompleted",
    /** The reply. */
    reply: MessageId,
    /** The attempt that completed it. */
    attempt: number,
    /** What the model said. */
    parts: Array<Part>,
    /** Why the model stopped. */
    finish: Finish,
    /** The model that answered. */
    model: ModelRef,
    /** Tokens used, as far as the provider told. */
    usage: Usage,
    /** What the attempt spent. The provider's own words for it are in `usage` alone. */
    spent?: Spent }
  | { "type": "ReplyStopped",
    /** The reply. */
    reply: MessageId,
    /** The attempt that was running; 0 when none had started. */
    attempt: number,
    /** What the model had said until then. */
    parts: Array<Part>,
    /** What the attempt spent; none when none was running, or no provider had taken it up. */
    spent?: Spent }
  | { "type": "ReplyFailed",
    /** The reply. */
    reply: MessageId,
    /** The last attempt. */
    attempt: number,
    /** What went wrong. */
    error: ReplyError,
    /** What the model had said until then. */
    parts: Array<Part>,
    /** What the last attempt spent; none when no provider took it up, or it had expired and said so then. */
    spent?: Spent }
  | { "type": "BranchSelected",
    /** Its last message. */
    leaf: MessageId }
  | { "type": "ConversationArchived" }
  | { "type": "ConversationUnarchived" }
  | { "type": "ConversationDeleted" };

/** A conversation, as a row of its participants' lists. */
export type ConversationView = {
    /** Its id. */
    id: string,
    /** Its title, if it was given one. */
    title: string | null,
    /** The beginning of its first message, to show where there is no title. */
    preview: string | null,
    /** Who owns it. */
    owner: string,
    /** Who may read and write here, the owner among them, in alphabetical order. */
    participants: Array<string>,
    /** The model that answers; none means the installation's default. */
    model: string | null,
    /** What the model is told before the first message. */
    system_prompt: string | null,
    /** The last message of the branch shown. */
    active_leaf: string | null,
    /** Whether it is put aside. */
    archived: boolean,
    /** The sequence of the last event that this row knows of. */
    sequence: number,
    /** When it began. */
    created_at: string,
    /** When something last happened in it. */
    updated_at: string };

/** Money. */
export type Cost = {
    /** In micro-USD: a million of them are one USD. */
    micros: number,
    /** The version of the price by which it was reckoned. */
    price: string };

/** The provider that answers where a person chose none. */
export type DefaultView = {
    /** Which; none means the installation's default. */
    provider: string | null,
    /** Its model; none means the first that it offers. */
    model: string | null };

/** Why a model stopped by itself. */
export type Finish = "stop" | "length" | "tool_calls" | "content_filter" | "other";

/** Which of a person's [`Limits`]. */
export type Limit = "micro_usd_per_day" | "micro_usd_per_month" | "tokens_per_day" | "tokens_per_month" | "requests_per_minute" | "concurrent_replies";

/** A limit that kept a model from being asked. */
export type LimitReached = {
    /** Which. */
    name: Limit,
    /** What it allows. */
    amount: number,
    /** When there is room again, in UTC as RFC 3339 has it. None when that is once a running reply has ended, or when the
 * limit never allows as much. */
    resets_at?: string };

/** How much one person may use. None means no limit of this kind. */
export type Limits = {
    /** Money in a day (UTC), in millionths of a US dollar. */
    micro_usd_per_day: number | null,
    /** Money in a calendar month (UTC), in millionths of a US dollar. */
    micro_usd_per_month: number | null,
    /** Tokens, of input and output together, in a day (UTC). */
    tokens_per_day: number | null,
    /** The same in a calendar month (UTC). */
    tokens_per_month: number | null,
    /** Calls to providers in a minute. */
    requests_per_minute: number | null,
    /** Replies that run at once. */
    concurrent_replies: number | null };

/** A message in a conversation's tree. A reply's id is the id of the assistant message that it becomes. */
export type MessageId = string;

/** How a message stands. */
export type MessageStatus = "submitted" | "pending" | "running" | "stopping" | "completed" | "stopped" | "failed";

/** A message of a conversation's tree. */
export type MessageView = {
    /** Its id; for an assistant message, the reply's. */
    id: string,
    /** The message that it follows; none at the root. */
    parent: string | null,
    /** Who speaks. */
    role: Role,
    /** Which person, if one. */
    author: string | null,
    /** What is said; of a reply that runs, nothing yet. */
    parts: Array<Part>,
    /** The message that this one is another wording of. */
    alternative_of: string | null,
    /** How it stands. */
    status: MessageStatus,
    /** Of a reply: the newest attempt, 0 before the first. */
    attempt: number,
    /** Of a reply: the model asked, and once complete the model that answered. */
    model: string | null,
    /** Of a completed reply: why the model stopped. */
    finish: Finish | null,
    /** Of a completed reply: tokens used. */
    usage: Usage | null,
    /** Of a failed reply: why. */
    error: ReplyError | null,
    /** The sequence of the event that made it. */
    sequence: number,
    /** When it was made. */
    created_at: string };

/** A model of a provider, written `provider/model`; the model's part may itself contain slashes. */
export type ModelRef = string;

/** A model that a conversation can choose. */
export type ModelView = {
    /** Its reference, `provider/model`. */
    id: string,
    /** How people read it. */
    label: string,
    /** How many tokens it can read and write in one call, if known. */
    context_window: number | null,
    /** Whether it answers where nobody chose a model. None is marked where the workers alone know. */
    default: boolean };

/** A piece of a message. */
export type Part = { "type": "text",
    /** The text. */
    text: string }
  | { "type": "reasoning",
    /** The thought, or its summary; empty where the provider hides it. */
    text: string,
    /** What its provider wants back with it; nobody else can read it. */
    signature: string | null,
    /** The model that thought it: shown again to no other. */
    model: string }
  | { "type": "tool_call",
    /** Unique within its message. */
    id: string,
    /** The tool. */
    name: string,
    /** A JSON object, as text. The model wrote it: it need not parse. */
    arguments: string,
    /** What its provider wants back with it. */
    signature: string | null }
  | { "type": "tool_result",
    /** The call. */
    id: string,
    /** The tool. */
    name: string,
    /** What it gave, as text. */
    content: string,
    /** Whether the call failed. */
    is_error: boolean };

/** What a model costs. */
export type PriceView = {
    /** Where it was read; costs name it. */
    version: string,
    /** By how long the input of a call is: the last one that `above` fits holds for the whole call. */
    rates: Array<RateView> };

/** How a provider is shown the key. */
export type ProviderAuth = "bearer"
  | { "header": string } | "sigv4" | "none";

/** The catalogue: the providers that are known here, and how others can be spoken to. */
export type ProviderCatalog = {
    /** The providers. */
    providers: Array<ProviderView>,
    /** The protocols that a person's own provider may speak. */
    protocols: Array<string> };

/** A provider as a person has configured it. */
export type ProviderConfigView = {
    /** Which. */
    provider: string,
    /** How it is spoken to; none means as the catalogue says. */
    protocol: string | null,
    /** Where it is; none means where the catalogue says. */
    base_url: string | null,
    /** The models that it is asked for; with none, every one that it has. */
    models: Array<ConfiguredModel>,
    /** The last four characters of its key, empty when the key is too short to show as much; none without a key. */
    last_four: string | null,
    /** How it is shown its key; none means as the catalogue says, else as is usual for its protocol. */
    auth: ProviderAuth | null,
    /** True when it calls the limit of an answer `max_tokens`; none means as is known. */
    max_tokens: boolean | null,
    /** When it was last changed. */
    updated_at: string };

/** A provider of the catalogue. */
export type ProviderView = {
    /** Its id: what comes before the slash in a model's reference. */
    id: string,
    /** How people call it. */
    name: string,
    /** What it speaks. */
    protocol: string,
    /** Whether the installation has configured it, as far as the edge can tell: everyone can use it then. */
    configured: boolean,
    /** Whether it wants a key. Where it is not configured, a person needs one of their own. */
    needs_key: boolean,
    /** Where it is for everyone. What stands in braces, `parameters` names. */
    base_url: string | null,
    /** What is another for each account in `base_url`. */
    parameters: Array<string>,
    /** Whether a person who configures it has to say where it is. */
    needs_base_url: boolean,
    /** The models that it is known to offer. */
    models: Array<CatalogModel> };

/** What tokens cost, in micro-USD per million of them. */
export type RateView = {
    /** Of calls whose input is longer than this, in tokens; 0 for all. */
    above: number,
    /** Input read anew. */
    input: number,
    /** Input read from the provider's cache. */
    cached_read: number,
    /** Input written to the provider's cache. */
    cache_write: number,
    /** Output. */
    output: number,
    /** Reasoning. */
    reasoning: number };

/** How much of a running reply a client has. */
export type ReplyCursor = {
    /** The reply. */
    reply: string,
    /** The attempt that the text is of. */
    attempt: number,
    /** How many bytes of its UTF-8 text the client has. */
    offset: number };

/** Why a reply, or one attempt at it, ended without an answer. */
export type ReplyError = {
    /** The kind, stable for programs: `auth`, `quota`, `rate`, `overload`, `invalid`, `unknown_model`,
 * `context_too_long`, `content_filter`, `network`, `timeout`, `interrupted`, `protocol`, `worker_lost`, `limit`. */
    code: string,
    /** The same for people; never a secret, never the provider's raw body. */
    message: string,
    /** With the code `limit`: which limit of the person who asked. */
    limit?: LimitReached };

/** Who speaks. */
export type Role = "user" | "assistant";

/** What a client is told. */
export type ServerFrame = { "type": "hello",
    /** The protocol's version. */
    protocol: number,
    /** This socket, for support and logs. */
    session: string,
    /** How often the server pings; a client that hears nothing for twice as long should reconnect. */
    ping_ms: number,
    /** The largest frame accepted, in bytes. */
    max_frame: number,
    /** How long the server waits for `auth`. */
    auth_ms: number }
  | { "type": "authenticated",
    /** Who the client is. */
    user: string,
    /** When the token ends, in seconds since 1970; the socket is closed then unless a newer one came. */
    expires_at: number }
  | { "type": "ack",
    /** The command. */
    id: string,
    /** The conversation's sequence after it. */
    sequence: number,
    /** Its place in the log: `min_position` of a read that must see it. */
    position: string }
  | { "type": "refused",
    /** The command, if the frame was one. */
    id: string | null,
    /** The conversation, if the frame named one. */
    conversation: string | null,
    /** Why, stable for programs. */
    code: string,
    /** Why, for people. */
    message: string,
    /** Whether the same frame may succeed later. */
    retryable: boolean }
  | { "type": "subscribed",
    /** Which. */
    conversation: string,
    /** The sequence that the client is now at. */
    sequence: number,
    /** The state at that sequence; none when the client's own `after` is taken up. */
    snapshot: Snapshot | null }
  | { "type": "event",
    /** Where. */
    conversation: string,
    /** Its place in the conversation, from 1 without a gap. */
    sequence: number,
    /** Its place in the log. */
    position: string,
    /** Who asked: `user:<id>` or `worker:<name>`. */
    actor: string,
    /** When it was recorded (RFC 3339). */
    at: string,
    /** What happened. */
    event: ConversationEvent }
  | { "type": "live",
    /** Where. */
    conversation: string,
    /** The last sequence told. */
    sequence: number }
  | { "type": "delta",
    /** Where. */
    conversation: string,
    /** The reply. */
    reply: string,
    /** The attempt. */
    attempt: number,
    /** Where the text begins, in bytes of UTF-8. */
    offset: number,
    /** The text. */
    text: string,
    /** Set where there is no text, because the model thinks at the moment: a sign of life, with offset 0. */
    thinking?: boolean }
  | { "type": "typing",
    /** Where. */
    conversation: string,
    /** Who. */
    user: string }
  | { "type": "unsubscribed",
    /** Which. */
    conversation: string,
    /** Why: `asked`, or `gone` when it was deleted or the client may no longer see it. */
    reason: string }
  | { "type": "conversation_changed",
    /** Which. */
    id: string,
    /** The row as `GET /api/conversations` gives it. */
    conversation: ConversationView | null }
  | { "type": "pong" };

/** A conversation at a sequence: itself and its newest messages. */
export type Snapshot = {
    /** The conversation. */
    conversation: ConversationView,
    /** Its newest messages, oldest first; older ones from `GET /api/conversations/{id}/messages?before=<sequence>`. */
    messages: Array<MessageView>,
    /** Whether there are older ones. */
    more: boolean };

/** What an attempt spent. */
export type Spent = {
    /** Its tokens. */
    usage: Usage,
    /** What they cost; none when nobody told the model's price. */
    cost?: Cost,
    /** Whether the tokens are our estimate, all or some of them, since the provider did not count them for us to the end. Its bill
 * may differ. */
    estimated?: boolean };

/** A tenant: those whose logins one issuer vouches for. People of different tenants never meet. */
export type Tenant = string;

/** Tokens of one attempt. The counts do not overlap; none means that the provider said nothing. */
export type Usage = {
    /** Input tokens read anew, and not written to the provider's cache. */
    input: number | null,
    /** Input tokens read from the provider's cache. */
    cached_input: number | null,
    /** Input tokens read anew and written to the provider's cache. */
    cache_write?: number,
    /** Output tokens without the reasoning ones. */
    output: number | null,
    /** Output tokens spent on reasoning. */
    reasoning: number | null,
    /** The provider's own words for it, as it sent them: JSON, of at most [`MAX_RAW_USAGE_BYTES`]. Kept so that a bill
 * can be checked, and counts read anew should we have read them wrongly. */
    raw?: string };

/** What attempts came to. The counts of tokens do not overlap. */
export type UsageFigures = {
    /** Attempts that ended. */
    attempts: number,
    /** Those of them that failed or were lost. */
    failed: number,
    /** Input tokens read anew, and not written to a provider's cache. */
    input: number,
    /** Input tokens read from a provider's cache. */
    cached_input: number,
    /** Input tokens read anew and written to a provider's cache. */
    cache_write: number,
    /** Output tokens without the reasoning ones. */
    output: number,
    /** Output tokens spent on reasoning. */
    reasoning: number,
    /** What that cost, in millionths of a US dollar, as far as prices are known. */
    micro_usd: number,
    /** Attempts that spent something of which nobody told the price. */
    unpriced: number,
    /** Attempts whose tokens are our estimate, since the provider did not count them for us. */
    estimated: number };

/** What was used of one kind. It says what it was asked to tell apart. */
export type UsageRow = {
    /** On this day. */
    day?: string,
    /** Of this provider. */
    provider?: string,
    /** Of this model. */
    model?: string,
    /** In this conversation. */
    conversation?: string,
    /** Attempts that ended. */
    attempts: number,
    /** Those of them that failed or were lost. */
    failed: number,
    /** Input tokens read anew, and not written to a provider's cache. */
    input: number,
    /** Input tokens read from a provider's cache. */
    cached_input: number,
    /** Input tokens read anew and written to a provider's cache. */
    cache_write: number,
    /** Output tokens without the reasoning ones. */
    output: number,
    /** Output tokens spent on reasoning. */
    reasoning: number,
    /** What that cost, in millionths of a US dollar, as far as prices are known. */
    micro_usd: number,
    /** Attempts that spent something of which nobody told the price. */
    unpriced: number,
    /** Attempts whose tokens are our estimate, since the provider did not count them for us. */
    estimated: number };

/** A person's usage over some days. */
export type UsageView = {
    /** By day in the order of days, else those that cost most first. */
    rows: Array<UsageRow>,
    /** All together, whatever rows there are. */
    total: UsageFigures,
    /** Whether there are further rows. */
    more: boolean };

/** A person, as the login names them: the `sub` of a verified token. Unique within a tenant. */
export type UserId = string;
