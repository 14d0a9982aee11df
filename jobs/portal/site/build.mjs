// Bundle the two scripts and lay the query engine's files beside them. Everything comes from node_modules.
import { cp, mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { build } from "esbuild";
import { slim } from "./slim.mjs";

await rm("dist", { recursive: true, force: true });
await mkdir("dist");
await build({
  entryPoints: ["src/app.ts", "src/ask.ts"],
  outdir: "dist", bundle: true, minify: true, format: "esm", target: "es2022", legalComments: "eof",
});
const engine = "node_modules/@duckdb/duckdb-wasm/dist/duckdb";
const script = await readFile(`${engine}-browser-eh.worker.js`, "utf8");
// Without its progress bar the engine is compiled straight from the answer, which a browser keeps compiled.
await writeFile("dist/duckdb-browser-eh.worker.js", `self.TransformStream=undefined;${script}`);
await writeFile("dist/duckdb-eh.wasm", slim(await readFile(`${engine}-eh.wasm`), script));
await cp("node_modules/parquet-wasm/esm/parquet_wasm_bg.wasm", "dist/parquet_wasm_bg.wasm");
