// The Chromium of this machine, and the people in front of it.

import { accessSync, constants } from 'node:fs';
import { type Browser, type BrowserContext, chromium } from 'playwright-core';
import { afterAll, afterEach, beforeAll, expect, inject } from 'vitest';
import { Person } from './person.js';

const WAIT_MS = 30_000;

/** The browser's path, or an error that says what to install. */
export function requireChromium(): string {
  const path = process.env.CHROMIUM ?? '/usr/bin/chromium';
  try {
    accessSync(path, constants.X_OK);
  } catch {
    throw new Error(
      `There is no Chromium at ${path}: install it (Debian: apt install chromium) or name one in CHROMIUM.`,
    );
  }
  return path;
}

/** A browser for the tests of a file. Each test's windows close after it, and must have had no problem. */
export class Windows {
  #browser: Browser | undefined;
  #contexts: BrowserContext[] = [];
  #people: Person[] = [];

  constructor() {
    beforeAll(async () => {
      this.#browser = await launch();
    });
    afterAll(() => this.#browser?.close());
    afterEach(async () => {
      const people = this.#people;
      await Promise.all(this.#contexts.map((context) => context.close()));
      this.#contexts = [];
      this.#people = [];
      expect(people.flatMap(({ problems }) => problems)).toEqual([]);
    });
  }

  async context(): Promise<BrowserContext> {
    if (!this.#browser) throw new Error('There is no browser before the tests begin.');
    const context = await this.#browser.newContext();
    context.setDefaultTimeout(WAIT_MS);
    this.#contexts.push(context);
    return context;
  }

  /** Someone logs in, in a window of their own, which unlike a tab behind another runs at full speed. */
  async arrives(name: string, at: { context?: BrowserContext; url?: string } = {}): Promise<Person> {
    const context = at.context ?? (await this.context());
    const person = await Person.arrives(context, at.url ?? inject('url'), name);
    this.#people.push(person);
    return person;
  }
}

function launch(): Promise<Browser> {
  return chromium.launch({
    executablePath: requireChromium(),
    // Chromium's sandbox refuses to run as root.
    chromiumSandbox: process.getuid?.() !== 0,
    args: [
      '--disable-gpu',
      '--no-first-run',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
    ],
  });
}
