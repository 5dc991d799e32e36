// Conversations and messages in Postgres. Every statement is named, so a connection parses and plans it once.

import pg from 'pg';

/** Enough for the inserts of many users to share a flush; far below Postgres's default of 100. */
const CONNECTIONS = 20;
/** How many of the latest messages the model is shown. */
const HISTORY = 50;

// One index serves both the key and the history. No foreign key, since it would lock the conversation's row on every
// insert: who may send has joined, and joining made the row.
const SCHEMA = `
  create table if not exists conversations (
    id text primary key,
    created_at timestamptz not null default now()
  );
  create table if not exists messages (
    conversation text not null,
    id bigint generated always as identity,
    role text not null,
    author text,
    body text not null,
    created_at timestamptz not null default now(),
    primary key (conversation, id)
  );
`;

const OPEN_CONVERSATION = 'insert into conversations (id) values ($1) on conflict do nothing';
const INSERT_MESSAGE =
  'insert into messages (conversation, role, author, body) values ($1, $2, $3, $4) returning id';
const RECENT_MESSAGES = `
  select role, body from messages where conversation = $1 and id <= $2 order by id desc limit ${HISTORY}
`;

export class Store {
  #pool;

  constructor(pool) {
    this.#pool = pool;
  }

  /** Connects and makes the tables if they are missing. */
  static async open(connectionString) {
    const pool = new pg.Pool({ connectionString, max: CONNECTIONS, idleTimeoutMillis: 0 });
    // An idle connection that breaks is replaced by the pool; unheard, its error would end the process.
    pool.on('error', (error) => console.error('postgres:', error.message));
    await pool.query(SCHEMA);
    return new Store(pool);
  }

  async openConversation(id) {
    await this.#pool.query({ name: 'open_conversation', text: OPEN_CONVERSATION, values: [id] });
  }

  /** Resolves with the message's id once it is committed. */
  async insertMessage({ conversation, role, author = null, text }) {
    const values = [conversation, role, author, text];
    const { rows } = await this.#pool.query({ name: 'insert_message', text: INSERT_MESSAGE, values });
    return rows[0].id;
  }

  /** The latest messages up to and including `id`, oldest first, as a prompt. */
  async promptUpTo(conversation, id) {
    const values = [conversation, id];
    const { rows } = await this.#pool.query({ name: 'recent_messages', text: RECENT_MESSAGES, values });
    return rows.reverse().map(({ role, body }) => ({ role, content: body }));
  }

  async close() {
    await this.#pool.end();
  }
}
