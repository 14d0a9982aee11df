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
  private coming: string[] = [];
  private place = "";
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
    const fresh = this.fresh(named).filter((name) => !this.coming.includes(name));
    if (fresh.length > 0) this.read(fresh).catch(() => undefined);
  }

  /** Make an empty table of the whole shape, for questions to be planned on. */
  shape(connection: AsyncDuckDBConnection): Promise<void> {
    this.shaped ??= (async () => {
      const empty = (await this.open()).schema().intoIPCStream();  // no row, so nothing is fetched
      await connection.insertArrowFromIPCStream(empty, { schema: "shape", name: this.table, create: true });
    })();
    this.shaped.catch(() => { this.shaped = undefined; });
    return this.shaped;
  }

  /** Hold at least these columns, under the table's name; one call after the other. */
  hold(connection: AsyncDuckDBConnection, needed: string[]): Promise<void> {
    this.coming = [...this.coming, ...needed];
    this.last = this.last.catch(() => undefined).then(() => this.take(connection, needed));
    this.last.catch(() => { this.coming = []; });
    return this.last;
  }

  private async take(connection: AsyncDuckDBConnection, needed: string[]): Promise<void> {
    const fresh = this.fresh(needed);
    if (fresh.length === 0) return;
    const rows = await this.read(fresh);
    this.ahead.clear();
    this.turn += 1;
    const [before, name] = [this.place, `${this.table}_${this.turn}`];
    if (before === "") {
      await connection.insertArrowFromIPCStream(rows, { schema: "held", name, create: true });
    } else {
      // What is there is not fetched again: rows of both stand in the file's order.
      const more = `${name}_more`;
      await connection.insertArrowFromIPCStream(rows, { schema: "held", name: more, create: true });
      const all = this.columns.filter((one) => this.held.includes(one) || fresh.includes(one)).map(quoted).join(", ");
      await connection.query(`CREATE TABLE held.${quoted(name)} AS
        SELECT ${all} FROM held.${quoted(before)} POSITIONAL JOIN held.${quoted(more)}`);
      await connection.query(`DROP TABLE held.${quoted(more)}`);
    }
    await connection.query(`CREATE OR REPLACE VIEW ${quoted(this.table)} AS FROM held.${quoted(name)}`);
    if (before !== "") await connection.query(`DROP TABLE held.${quoted(before)}`);
    this.place = name;
    this.held = this.columns.filter((one) => this.held.includes(one) || fresh.includes(one));
  }

  /** Return which columns are not held yet, in the file's order; the first one where none is needed: rows are counted. */
  private fresh(needed: string[]): string[] {
    const wanted = this.columns.filter((name) => needed.includes(name) && !this.held.includes(name));
    return wanted.length > 0 || this.held.length > 0 ? wanted : this.columns.slice(0, 1);
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
