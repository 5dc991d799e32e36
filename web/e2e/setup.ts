// The server that the tests talk to: the one that BESTCHAT_URL names, else one of their own.

import type { TestProject } from 'vitest/node';
import { requireChromium } from './browser.js';
import { Server } from './server.js';

declare module 'vitest' {
  interface ProvidedContext {
    url: string;
  }
}

export default async function setup(project: TestProject): Promise<(() => Promise<void>) | undefined> {
  requireChromium();
  const running = process.env.BESTCHAT_URL;
  if (running) {
    project.provide('url', running.replace(/\/+$/, ''));
    return undefined;
  }
  const server = await Server.starts();
  project.provide('url', server.address);
  return () => server.stops();
}
