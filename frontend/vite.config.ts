import { resolve } from "node:path";
import tailwindcss from "@tailwindcss/vite";
import { defineConfig } from "vite";

// Django serves the result: STATICFILES_DIRS holds dist/, django-vite reads manifest.json (see store/settings.py).
export default defineConfig({
  base: "/static/",
  plugins: [tailwindcss()],
  publicDir: resolve(import.meta.dirname, "public"),
  build: {
    outDir: resolve(import.meta.dirname, "dist"),
    emptyOutDir: true,
    manifest: "manifest.json",
    target: ["chrome123", "firefox120", "safari17.5"],
    cssTarget: ["chrome123", "firefox120", "safari17.5"], // the first with light-dark(): tokens.css needs it
    modulePreload: { polyfill: false }, // the polyfill would be an inline-made script
    assetsInlineLimit: 0,
    rolldownOptions: {
      // An island is an entry of its own, never imported by another: Django names each file once, by its hash.
      input: ["main", "playground", "compare", "chart", "upload", "curves", "training"].map((name) =>
        resolve(import.meta.dirname, `src/${name}.ts`),
      ),
    },
  },
});
