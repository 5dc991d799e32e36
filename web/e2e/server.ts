// A BestChat of the tests' own: `bestchat up` in a fresh folder, with the Postgres and NATS that it starts there.

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  accessSync,
  chmodSync,
  closeSync,
  constants,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { leftovers } from './processes.js';

const CHECKOUT = resolve(import.meta.dirname, '../..');
const READY = /^BestChat is ready: (http:\/\/\S+)/m;
/** A fresh folder means `initdb`, on a machine that may be building something else. */
const READY_MS = 120_000;
const STOP_MS = 60_000;

export class Server {
  /** Where it answers. */
  readonly address: string;
  readonly #folder: string;
  #process: ChildProcess | undefined;

  private constructor(folder: string, address: string) {
    this.#folder = folder;
    this.address = address;
    process.once('exit', this.#abandon);
  }

  static async starts(): Promise<Server> {
    const folder = mkdtempSync(join(tmpdir(), 'bestchat-e2e-'));
    // Postgres runs as another user where this is root, and has to get through.
    chmodSync(folder, 0o711);
    const server = new Server(folder, `http://127.0.0.1:${await freePort()}`);
    await server.startsAgain();
    return server;
  }

  /** Starts it on what it has stored, at the same address as before. */
  async startsAgain(): Promise<void> {
    const log = openSync(join(this.#folder, 'bestchat.log'), 'a');
    const child = spawn(program(), ['up'], {
      cwd: this.#folder,
      env: environment(this.#folder, this.address),
      stdio: ['ignore', 'pipe', log],
      // A Ctrl-C in the terminal is for the tests, which then stop it.
      detached: true,
    });
    closeSync(log);
    this.#process = child;
    const problem = await ready(child, this.address);
    if (problem === null) return;
    const said = logOf(this.#folder);
    this.#abandon();
    throw new Error(`${problem}\n${said}`);
  }

  /** Ends it as a crash does. Its Postgres and NATS end with it, if need be when it starts again. */
  async isKilled(): Promise<void> {
    if (this.#process) await signal(this.#process, 'SIGKILL');
  }

  /** Stops it as Ctrl-C does. It must leave nothing behind. */
  async stops(): Promise<void> {
    if (!this.#process) return;
    await signal(this.#process, 'SIGINT');
    const { exitCode, signalCode } = this.#process;
    if (exitCode !== 0 && signalCode !== 'SIGKILL') {
      throw new Error(`bestchat stopped with ${signalCode ?? `status ${exitCode}`}.\n${logOf(this.#folder)}`);
    }
    const left = await leftovers(this.#folder, STOP_MS);
    if (left.length > 0) throw new Error(`bestchat ended and left these running:\n${left.join('\n')}`);
    process.removeListener('exit', this.#abandon);
    rmSync(this.#folder, { recursive: true, force: true });
  }

  /** Whatever ends the tests ends it as well; its own servers end with it, and may write until then. */
  readonly #abandon = (): void => {
    this.#process?.kill('SIGKILL');
    rmSync(this.#folder, { recursive: true, force: true, maxRetries: 10, retryDelay: 100 });
  };
}

/** Waits for its one line; null, or why it did not come. */
function ready(child: ChildProcess, address: string): Promise<string | null> {
  return new Promise((done) => {
    const tooLate = setTimeout(() => done(`bestchat was not ready after ${READY_MS / 1000} s.`), READY_MS);
    const end = (problem: string | null) => {
      clearTimeout(tooLate);
      done(problem);
    };
    let said = '';
    child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      said += text;
      const at = READY.exec(said)?.[1];
      if (at !== undefined) end(at === address ? null : `bestchat is at ${at}, not at ${address}.`);
    });
    child.once('error', (error) => end(`bestchat could not be started: ${error.message}`));
    child.once('exit', (code, by) => end(`bestchat ended before it was ready (${by ?? `status ${code}`}).`));
  });
}

function program(): string {
  const path = process.env.BESTCHAT_BIN ?? join(CHECKOUT, 'target/debug/bestchat');
  try {
    accessSync(path, constants.X_OK);
  } catch {
    throw new Error(
      `There is no program at ${path}: build it with \`cargo build --package app --bin bestchat\`, ` +
        'name another in BESTCHAT_BIN, or name a running server in BESTCHAT_URL.',
    );
  }
  return resolve(path);
}

/** This environment without what would give the server another database, bus, model or setting. */
function environment(folder: string, address: string): NodeJS.ProcessEnv {
  const isOurs = (name: string) => /^(BESTCHAT_|DATABASE_URL$|NATS_|OPENAI_)/.test(name);
  const inherited = Object.fromEntries(Object.entries(process.env).filter(([name]) => !isOurs(name)));
  return {
    ...inherited,
    PATH: `${join(CHECKOUT, '.tools/bin')}:${process.env.PATH ?? ''}`,
    BESTCHAT_DATA: join(folder, 'data'),
    BESTCHAT_LISTEN: new URL(address).host,
    BESTCHAT_DEFAULT_MODEL: 'demo/echo',
    // The tests' provider is on this machine.
    BESTCHAT_ALLOW_PRIVATE_ADDRESSES: 'true',
  };
}

/** A port that was free just now: the server must come back at the same one, so it cannot choose for itself. */
async function freePort(): Promise<number> {
  const probe = createServer().listen(0, '127.0.0.1');
  await once(probe, 'listening');
  const address = probe.address();
  probe.close();
  await once(probe, 'close');
  if (address === null || typeof address === 'string') throw new Error('There is no free port.');
  return address.port;
}

async function signal(child: ChildProcess, name: 'SIGINT' | 'SIGKILL'): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, 'exit', { signal: AbortSignal.timeout(STOP_MS) });
  child.kill(name);
  await ended.catch(() => {
    child.kill('SIGKILL');
    throw new Error(`bestchat did not end within ${STOP_MS / 1000} s of ${name}.`);
  });
}

function logOf(folder: string): string {
  return readFileSync(join(folder, 'bestchat.log'), 'utf8').split('\n').slice(-40).join('\n');
}
