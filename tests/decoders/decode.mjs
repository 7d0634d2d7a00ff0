// Decodes zstd bodies with what Node has. node decode.mjs HOW OUT SOURCE…
// HOW: zlib | fetch | path of fzstd's module; sources are files, for fetch URLs. Writes OUT/<last path segment>.
// Exits with 77 when this Node lacks the decoder.
import { readFile, writeFile } from "node:fs/promises";
import { basename } from "node:path";
import { pathToFileURL } from "node:url";
import zlib from "node:zlib";

const [how, out, ...sources] = process.argv.slice(2);

async function decoder() {
  if (how === "zlib") {
    if (!zlib.zstdDecompressSync) process.exit(77);
    return async (file) => zlib.zstdDecompressSync(await readFile(file));
  }
  if (how === "fetch") {
    if (!zlib.zstdDecompressSync) process.exit(77); // fetch decodes with zlib
    return async (url) => Buffer.from(await (await fetch(url)).arrayBuffer());
  }
  const { decompress } = await import(pathToFileURL(how));
  return async (file) => decompress(await readFile(file));
}

const decode = await decoder();
for (const source of sources) await writeFile(`${out}/${basename(source, ".zst")}`, await decode(source));
