// Bundle the two scripts and lay the query engine's files beside them. Everything comes from node_modules.
import { cp, mkdir, rm } from "node:fs/promises";
import { build } from "esbuild";

await rm("dist", { recursive: true, force: true });
await mkdir("dist");
await build({
  entryPoints: ["src/app.ts", "src/ask.ts"],
  outdir: "dist", bundle: true, minify: true, format: "esm", target: "es2022", legalComments: "eof",
});
for (const name of ["duckdb-eh.wasm", "duckdb-browser-eh.worker.js"]) {
  await cp(`node_modules/@duckdb/duckdb-wasm/dist/${name}`, `dist/${name}`);
}
await cp("node_modules/parquet-wasm/esm/parquet_wasm_bg.wasm", "dist/parquet_wasm_bg.wasm");
