// Someone in front of the console: what they do and what they see, in the words of the tests.

import type { BrowserContext, Locator, Page } from 'playwright-core';

const ENDED = ['completed', 'stopped', 'failed'];

/** A name that no earlier run has used: the server keeps what was said. */
export function newName(name: string): string {
  return `${name}-${Date.now().toString(36)}-${Math.random().toString(36).slice(2, 6)}`;
}

export class Person {
  readonly name: string;
  readonly page: Page;
  /** What went wrong in the page without the page saying so. */
  readonly problems: string[] = [];

  private constructor(name: string, page: Page) {
    this.name = name;
    this.page = page;
    page.on('pageerror', (error) => this.problems.push(error.message));
    page.on('console', (message) => {
      if (/Content Security Policy/i.test(message.text())) this.problems.push(message.text());
    });
  }

  /** Opens the console and logs in. */
  static async arrives(context: BrowserContext, url: string, name: string): Promise<Person> {
    const person = new Person(name, await context.newPage());
    await person.page.goto(`${url}/`);
    await person.page.getByLabel('Name').fill(name);
    await person.page.getByRole('button', { name: 'Log in' }).click();
    await person.seesConnection('Online');
    return person;
  }

  seesConnection(word: 'Online' | 'Reconnecting'): Promise<void> {
    return this.page.getByTestId('connection').filter({ hasText: word }).waitFor();
  }

  async say(text: string): Promise<void> {
    const composer = this.page.getByLabel('Message', { exact: true });
    await composer.fill(text);
    await composer.press('Enter');
  }

  async stop(): Promise<void> {
    await this.page.getByRole('button', { name: 'Stop the answer' }).click();
  }

  /** The chat that shows, by its address. */
  async chat(): Promise<string> {
    await this.page.waitForFunction(() => location.hash.startsWith('#/c/'));
    return new URL(this.page.url()).hash;
  }

  async open(hash: string): Promise<void> {
    await this.page.evaluate((to) => {
      location.hash = to;
    }, hash);
  }

  /** The `nth` answer of the branch shown, from 0; -1 is the last. */
  answer(nth = -1): Locator {
    const answers = this.page.locator('.reply');
    return nth < 0 ? answers.last() : answers.nth(nth);
  }

  message(text: string): Locator {
    return this.page.locator('.message.user').filter({ hasText: text });
  }

  row(title: string): Locator {
    return this.page.locator('.row').filter({ hasText: title });
  }

  /** Waits until the end of the messages is in view. */
  async isAtEnd(): Promise<void> {
    await this.page.waitForFunction(() => {
      const list = document.querySelector('.messages');
      return list && list.scrollHeight - list.scrollTop - list.clientHeight < 48;
    });
  }

  /** Waits until the last answer has so many words; what it has then. */
  async seesWords(least: number): Promise<string> {
    const text = await this.page.waitForFunction((count) => {
      const reply = [...document.querySelectorAll('.reply')].at(-1);
      const shown = reply?.querySelector('.markdown')?.textContent ?? '';
      return shown.split(/\s+/).length >= count && shown;
    }, least);
    return String(await text.jsonValue());
  }

  /** Waits until the answer has ended, which must be in this way; its text. */
  async answerEnds(status = 'completed', nth = -1): Promise<string> {
    const ended = await this.page.waitForFunction(
      ([at, statuses]) => {
        const reply = [...document.querySelectorAll<HTMLElement>('.reply')].at(at);
        const found = reply?.dataset.status ?? '';
        const text = reply?.querySelector('.markdown')?.textContent ?? '';
        return statuses.includes(found) && { found, text };
      },
      [nth, ENDED] as const,
    );
    const { found, text } = (await ended.jsonValue()) as { found: string; text: string };
    if (found !== status) throw new Error(`The answer ended as ${found}, not as ${status}.`);
    return text;
  }

  /** Every text that the last answer shows, frame by frame, until it has ended. */
  watchesAnswer(): Promise<string[]> {
    const watched = this.#watch();
    // A test that fails meanwhile closes the page, and is what counts then.
    watched.catch(() => {});
    return watched;
  }

  async #watch(): Promise<string[]> {
    await this.answer().waitFor();
    return this.page.evaluate((ended) => {
      const seen: string[] = [];
      return new Promise<string[]>((resolve) => {
        const look = () => {
          const reply = [...document.querySelectorAll<HTMLElement>('.reply')].at(-1);
          const text = reply?.querySelector('.markdown')?.textContent ?? '';
          if (text !== seen.at(-1)) seen.push(text);
          if (ended.includes(reply?.dataset.status ?? '')) resolve(seen);
          else requestAnimationFrame(look);
        };
        look();
      });
    }, ENDED);
  }
}

/** The letters of a text up to its last whole word: the rest Markdown shows differently while it is unfinished. */
export function letters(text: string): string {
  return text.replace(/\S*$/u, '').replace(/\P{L}+/gu, '');
}
