import react from '@vitejs/plugin-react';
import { defineConfig } from 'vite';

const server = 'http://127.0.0.1:8080';

export default defineConfig({
  // Relative, so that the page works wherever it is served from.
  base: './',
  plugins: [react()],
  resolve: { conditions: ['bestchat-source', 'module', 'browser', 'development|production'] },
  // The page's content policy allows nothing inline, so no asset may become a data: address in a script or style.
  build: { assetsInlineLimit: 0 },
  server: { proxy: { '/api': server, '/ws': { target: server, ws: true } } },
});
