// How the page is built: one bundle, codecs as assets, nothing inline (the page's CSP allows no inline script).
import { fileURLToPath } from "node:url";
import preact from "@preact/preset-vite";
import { defineConfig } from "vite";

const server = process.env.OVERREAD_URL ?? "http://127.0.0.1:8080";
const passedOn = Object.fromEntries(
  ["/api", "/auth", "/dicom-web", "/issuer", "/ops/api"].map((path) => [path, { target: server, changeOrigin: false }]),
);

const here = (path: string) => fileURLToPath(new URL(path, import.meta.url));

export default defineConfig({
  plugins: [preact({ devToolsEnabled: false, prefreshEnabled: false })],
  resolve: {
    alias: {
      // xmlbuilder2, which Cornerstone3D's metadata needs, asks for Node's `events`.
      events: "events/events.js",
      // JPEG XL: no sender here has it, and its codec is as large as all others together.
      "@cornerstonejs/codec-libjxl/decodewasmjs": here("src/viewer/no_jpeg_xl.ts"),
      "@cornerstonejs/codec-libjxl/decodewasm": here("src/viewer/no_jpeg_xl.wasm"),
    },
  },
  worker: { format: "es" },
  build: {
    target: "es2022",
    outDir: "../services/overread/review/page",
    emptyOutDir: true,
    sourcemap: false,
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    chunkSizeWarningLimit: 4000,
    license: { fileName: "licences.md" },
  },
  server: { proxy: passedOn },
});
