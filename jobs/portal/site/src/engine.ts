// The query engine in the browser: DuckDB-WASM for SQL, parquet-wasm to read Parquet. Nothing is asked of another host:
// DuckDB's own Parquet reader would be fetched from its makers' server, so a table is handed over as Arrow instead.
import { AsyncDuckDB, type AsyncDuckDBConnection, VoidLogger } from "@duckdb/duckdb-wasm";
import type { Table } from "apache-arrow";
import initParquet, { readParquet } from "parquet-wasm/esm/parquet_wasm.js";

export interface Source { table: string; file: string }

/** Start the engine; `assets` is the folder of its files, absolute. */
export async function start(assets: URL): Promise<AsyncDuckDBConnection> {
  const worker = new Worker(new URL("duckdb-browser-eh.worker.js", assets));
  const database = new AsyncDuckDB(new VoidLogger(), worker);
  await database.instantiate(new URL("duckdb-eh.wasm", assets).href);
  const connection = await database.connect();
  await connection.query("SET autoinstall_known_extensions = false");
  await connection.query("SET autoload_known_extensions = false");
  await connection.query("SET enable_external_access = false");  // a question may not fetch either
  return connection;
}

let parquet: Promise<unknown> | undefined;

/** Load a released file as a table, reading it while the engine still starts; raise an error when it cannot be fetched. */
export async function load(connection: Promise<AsyncDuckDBConnection>, source: Source, assets: URL): Promise<void> {
  parquet ??= initParquet({ module_or_path: new URL("parquet_wasm_bg.wasm", assets) });
  const [answer] = await Promise.all([fetch(source.file), parquet]);
  if (!answer.ok) throw new Error(`${source.file}: ${answer.status}`);
  const stream = readParquet(new Uint8Array(await answer.arrayBuffer())).intoIPCStream();
  await (await connection).insertArrowFromIPCStream(stream, { name: source.table, create: true });
}

/** Return a question's answer with every cell as text, null for null, as SQL itself writes them. */
export async function ask(connection: AsyncDuckDBConnection, sql: string): Promise<{ names: string[]; rows: (string | null)[][] }> {
  const table: Table = await connection.query(sql);
  const names = table.schema.fields.map((field) => field.name);
  const columns = table.schema.fields.map((_, n) => table.getChildAt(n));
  const scales = table.schema.fields.map((field) => (field.type as { scale?: number }).scale ?? 0);
  const days = table.schema.fields.map((field) => String(field.type).startsWith("Date"));
  const rows: (string | null)[][] = [];
  for (let row = 0; row < table.numRows; row += 1) {
    rows.push(columns.map((column, n) => spelled(column?.get(row), scales[n] ?? 0, days[n] ?? false)));
  }
  return { names, rows };
}

function spelled(value: unknown, scale: number, day: boolean): string | null {
  if (value === null || value === undefined) return null;
  if (day) return new Date(Number(value)).toISOString().slice(0, 10);
  const text = String(value);
  if (scale === 0 || !/^-?\d+$/.test(text)) return text;
  const digits = text.replace("-", "").padStart(scale + 1, "0");
  const decimal = `${digits.slice(0, -scale)}.${digits.slice(-scale)}`.replace(/\.?0+$/, "");
  return text.startsWith("-") ? `-${decimal}` : decimal;
}
