// The query engine in the browser: DuckDB-WASM for SQL. Nothing is asked of another host.
import { AsyncDuckDB, type AsyncDuckDBConnection, VoidLogger } from "@duckdb/duckdb-wasm";
import type { Table } from "apache-arrow";
import type { Released } from "./released";

export interface Answer { names: string[]; rows: (string | null)[][] }

/** `asking` carries questions out; `planning` sees every table whole and empty, to say what a question needs. */
export interface Engine { asking: AsyncDuckDBConnection; planning: AsyncDuckDBConnection }

/** Start the engine; `assets` is the folder of its files, absolute. */
export async function start(assets: URL): Promise<Engine> {
  const worker = new Worker(new URL("duckdb-browser-eh.worker.js", assets));
  const database = new AsyncDuckDB(new VoidLogger(), worker);
  await database.instantiate(new URL("duckdb-eh.wasm", assets).href);
  const [asking, planning] = [await database.connect(), await database.connect()];
  await asking.query(`SET autoinstall_known_extensions = false; SET autoload_known_extensions = false;
    SET enable_external_access = false; CREATE SCHEMA shape; CREATE SCHEMA held`);  // a question may not fetch either
  await planning.query("SET search_path = 'shape,main'");
  return { asking, planning };
}

/** Answer a question about some tables, of which no more columns are fetched than its plan names. */
export async function answer(engine: Engine, sql: string, tables: Released[]): Promise<Answer> {
  for (const one of tables) await one.shape(engine.asking);
  const plan = tables.every((one) => one.whole) ? null : await planned(engine.planning, sql);
  for (const one of tables) {
    await one.hold(engine.asking, one.columns.filter((name) => plan === null || plan.includes(name)));
  }
  try {
    return await ask(engine.asking, sql);
  } catch (error) {
    if (tables.every((one) => one.whole)) throw error;
    // The plan was made on empty tables: a question whose shape depends on the rows (PIVOT) may need more.
    for (const one of tables) await one.hold(engine.asking, one.columns);
    return ask(engine.asking, sql);
  }
}

/** Return a question's plan as text, null when it says nothing about columns; raise what is wrong with the question. */
async function planned(connection: AsyncDuckDBConnection, sql: string): Promise<string | null> {
  try {
    const said = await connection.query(`EXPLAIN (FORMAT JSON) ${sql}`);
    const plan = String(said.getChildAt(1)?.get(0));
    return plan.includes("SEQ_SCAN") && !plan.includes("EMPTY_RESULT") ? plan : null;
  } catch (error) {
    if (String(error).includes("Binder Error")) throw error;
    return null;  // not everything that can be asked can be explained
  }
}

/** Return a question's answer with every cell as text, null for null, as SQL itself writes them. */
async function ask(connection: AsyncDuckDBConnection, sql: string): Promise<Answer> {
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
