// Writes page/build.json: which sources the built page is of, so that a test can say when it is out of date.
import { createHash } from "node:crypto";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const SOURCES = ["index.html", "package-lock.json", "package.json", "src", "tsconfig.json", "vite.config.ts"];

function files(path) {
  const found = readdirSync(path, { withFileTypes: true });
  return found.flatMap((entry) => (entry.isDirectory() ? files(join(path, entry.name)) : [join(path, entry.name)]));
}

const all = SOURCES.flatMap((name) => (name === "src" ? files(name) : [name])).sort();
const digest = createHash("sha256");
for (const path of all) {
  digest.update(`${path}\0`).update(readFileSync(path)).update("\0");
}
const page = "../services/overread/review/page";
writeFileSync(join(page, "build.json"), `${JSON.stringify({ sources: digest.digest("hex") }, null, 2)}\n`);
