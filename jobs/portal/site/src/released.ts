// A released table in the engine: its whole shape at once, of its columns those that questions need, fetched by ranges.
// DuckDB's own Parquet reader would be fetched from its makers' server, so columns are handed over as Arrow instead.
import type { AsyncDuckDBConnection } from "@duckdb/duckdb-wasm";
import initParquet, { ParquetFile } from "parquet-wasm/esm/parquet_wasm.js";

const BATCH = 122_880;  // rows the engine takes at a time: its own row group

let parquet: Promise<unknown> | undefined;

export class Released {
  private opened: Promise<ParquetFile> | undefined;
  private shaped: Promise<void> | undefined;
  private readonly ahead = new Map<string, Promise<Uint8Array>>();
  private held: string[] = [];
  private turn = 0;
  private last = Promise.resolve();

  /** Name a table, its file (absolute) and that one's bytes, its columns in the file's order, the folder of the assets. */
  constructor(
    readonly table: string, private readonly file: URL, readonly bytes: number, readonly columns: string[],
    private readonly assets: URL,
  ) {}

  /** Tell whether every column is there. */
  get whole(): boolean { return this.held.length === this.columns.length; }

  /** Read the file's description; raise an error when it cannot be fetched. */
  open(): Promise<ParquetFile> {
    parquet ??= initParquet({ module_or_path: new URL("parquet_wasm_bg.wasm", this.assets) });
    this.opened ??= parquet.then(() => ParquetFile.fromUrl(this.file.href))
      .catch((error: unknown) => {
        this.opened = undefined;
        throw new Error(`${this.file.pathname}: ${String(error)}`);
      });
    return this.opened;
  }

  /** Begin to read what a question seems to need, while the engine still starts. */
  guess(sql: string): void {
    const all = sql.replace(/count\s*\(\s*\*\s*\)/gi, "").includes("*");
    const named = this.columns.filter((name) => all || sql.includes(name));
    if (named.some((name) => !this.held.includes(name))) this.read(this.with(named)).catch(() => undefined);
  }

  /** Make an empty table of the whole shape, for questions to be planned on. */
  shape(connection: AsyncDuckDBConnection): Promise<void> {
    this.shaped ??= (async () => {
      const sample = (await (await this.open()).read({ limit: 1 })).intoIPCStream();
      await connection.insertArrowFromIPCStream(sample, { schema: "shape", name: this.table, create: true });
      await connection.query(`DELETE FROM shape.${quoted(this.table)}`);
    })();
    this.shaped.catch(() => { this.shaped = undefined; });
    return this.shaped;
  }

  /** Hold at least these columns, under the table's name; one call after the other. */
  hold(connection: AsyncDuckDBConnection, needed: string[]): Promise<void> {
    this.last = this.last.catch(() => undefined).then(() => this.take(connection, needed));
    return this.last;
  }

  private async take(connection: AsyncDuckDBConnection, needed: string[]): Promise<void> {
    const wanted = this.with(needed);
    if (this.turn > 0 && wanted.length === this.held.length) return;
    const rows = await this.read(wanted);
    this.ahead.clear();
    this.turn += 1;
    const name = `${this.table}_${this.turn}`;
    await connection.insertArrowFromIPCStream(rows, { schema: "held", name, create: true });
    await connection.query(`CREATE OR REPLACE VIEW ${quoted(this.table)} AS FROM held.${quoted(name)}`);
    await connection.query(`DROP TABLE IF EXISTS held.${quoted(`${this.table}_${this.turn - 1}`)}`);
    this.held = wanted;
  }

  /** Return columns with those already held, in the file's order; the first one where there is none: rows are counted. */
  private with(needed: string[]): string[] {
    const wanted = this.columns.filter((name) => needed.includes(name) || this.held.includes(name));
    return wanted.length > 0 ? wanted : this.columns.slice(0, 1);
  }

  private read(columns: string[]): Promise<Uint8Array> {
    const key = columns.join(" ");
    const found = this.ahead.get(key) ?? this.open()
      .then((file) => file.read({ columns, batchSize: BATCH }))
      .then((rows) => rows.intoIPCStream());
    this.ahead.set(key, found);
    found.catch(() => this.ahead.delete(key));
    return found;
  }
}

function quoted(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}
