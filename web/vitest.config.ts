import { defineConfig } from 'vitest/config';

export default defineConfig({
  resolve: { conditions: ['bestchat-source'] },
  ssr: { resolve: { conditions: ['bestchat-source'] } },
  test: { include: ['client/test/**/*.test.ts', 'console/test/**/*.test.ts'], testTimeout: 20_000 },
});
