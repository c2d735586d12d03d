// Relative base: the page works under any sub-path. Hashed file names: the server may tell browsers to keep them for ever.
import { svelte } from '@sveltejs/vite-plugin-svelte';
import { defineConfig } from 'vite';

export default defineConfig({
  base: './',
  plugins: [svelte()],
  build: {
    target: ['es2022', 'chrome109', 'firefox115', 'safari16'],
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    // What is bundled wants its licences beside it.
    license: { fileName: 'licences.txt' },
  },
});
