// Someone in front of the console: what they do and what they see, in the words of the tests.

import { type Browser, type BrowserContext, chromium, type Locator, type Page } from 'playwright-core';

const url = process.env.BESTCHAT_URL;
if (!url) throw new Error('BESTCHAT_URL must name a running server, such as http://127.0.0.1:8080');

const ENDED = ['completed', 'stopped', 'failed'];

export function launch(): Promise<Browser> {
  return chromium.launch({
    executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
    args: [
      '--no-sandbox',
      '--disable-gpu',
      '--no-first-run',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
    ],
  });
}

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

  /** Opens the console in a window of its own, which unlike a tab behind another runs at full speed, and logs in. */
  static async arrives(context: BrowserContext, name: string): Promise<Person> {
    const person = new Person(name, await context.newPage());
    await person.page.goto(`${url}/`);
    await person.page.getByLabel('Name').fill(name);
    await person.page.getByRole('button', { name: 'Log in' }).click();
    await person.isOnline();
    return person;
  }

  isOnline(): Promise<void> {
    return this.page.getByTestId('connection').filter({ hasText: 'Online' }).waitFor();
  }

  async say(text: string): Promise<void> {
    const composer = this.page.getByLabel('Message', { exact: true });
    await composer.fill(text);
    await composer.press('Enter');
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

  /** Waits until the last answer has so many words, and is still going on. */
  async seesWords(least: number): Promise<string[]> {
    await this.page.waitForFunction((count) => {
      const reply = [...document.querySelectorAll('.reply')].at(-1);
      return (reply?.querySelector('.markdown')?.textContent?.split(/\s+/).length ?? 0) >= count;
    }, least);
    return words((await this.answer().locator('.markdown').textContent()) ?? '');
  }

  async answerEnds(status = 'completed', nth = -1): Promise<string[]> {
    const answer = this.answer(nth);
    await this.page.waitForFunction(
      ([element, ended]) => ended.includes((element as HTMLElement | null)?.dataset.status ?? ''),
      [await answer.elementHandle(), ENDED] as const,
    );
    const found = await answer.getAttribute('data-status');
    if (found !== status) throw new Error(`The answer ended as ${found}, not as ${status}.`);
    return words(
      (await answer
        .locator('.markdown')
        .textContent()
        .catch(() => '')) ?? '',
    );
  }

  /** Every text that the last answer has shown until it ended, frame by frame. */
  async watchesAnswer(): Promise<string[][]> {
    await this.answer().waitFor();
    const texts = await this.page.evaluate((ended) => {
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
    return texts.map(words);
  }
}

/** The words of a text without what Markdown shows differently while it is unfinished: marks and list numbers. */
export function words(text: string): string[] {
  return text.match(/\p{L}+/gu) ?? [];
}
