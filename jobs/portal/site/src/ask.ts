// The page where people ask: SQL over the released tables, result, plot, CSV, an address that holds the question.
import { answer as answered, type Answer, type Engine, start } from "./engine";
import { Released } from "./released";

const SHOWN = 200;
const BARS = 40;
const SMALL = 16e6;  // bytes of a file that is fetched whole after the first answer
const SVG = "http://www.w3.org/2000/svg";

const say = document.querySelector<HTMLElement>("#words")!.dataset as Record<string, string>;
const form = document.querySelector<HTMLFormElement>("#question")!;
const sql = document.querySelector<HTMLTextAreaElement>("#sql")!;
const status = document.querySelector<HTMLElement>("#status")!;
const result = document.querySelector<HTMLElement>("#result")!;
const assets = new URL("site/", location.href);
const tables = [...document.querySelectorAll<HTMLLIElement>("#tables [data-table]")].map((item) => new Released(
  item.dataset["table"]!, new URL(item.dataset["file"]!, location.href), Number(item.dataset["bytes"]),
  (item.dataset["columns"] ?? "").split(" "), assets,
));
const saving = (navigator as { connection?: { saveData?: boolean } }).connection?.saveData === true;
let engine: Promise<Engine> | undefined;
let answer: Answer = { names: [], rows: [] };

/** Start the engine once: with the first question, or earlier where one is about to be asked. */
function started(): Promise<Engine> {
  if (!engine) {
    engine = start(assets);
    engine.catch(() => { engine = undefined; });
  }
  return engine;
}

async function run(): Promise<void> {
  const question = sql.value.trim().replace(/;\s*$/, "");
  if (!question) return;
  history.replaceState(null, "", `?${new URLSearchParams({ sql: question })}`);
  result.hidden = true;
  status.classList.remove("warn");
  try {
    status.textContent = say["askLoading"] ?? "";
    const asking = started();
    const asked = tables.filter((one) => question.includes(one.table));
    for (const one of asked) one.guess(question);
    const ready = await asking;
    status.textContent = say["askRunning"] ?? "";
    const began = performance.now();
    answer = await answered(ready, question, asked);
    const seconds = ((performance.now() - began) / 1000).toFixed(2);
    const more = answer.rows.length > SHOWN ? ` (${say["askShown"]} ${SHOWN})` : "";
    status.textContent = `${answer.rows.length.toLocaleString()} ${say["askDone"]} ${seconds} s${more}`;
    show();
    // While the answer is read, what the next question may need is fetched, where that costs the reader little.
    for (const one of asked) if (!saving && one.bytes <= SMALL) one.hold(ready.asking, one.columns).catch(() => undefined);
  } catch (error) {
    status.classList.add("warn");
    status.textContent = `${say["askFailed"]}${error instanceof Error ? error.message : String(error)}`;
  }
}

function numeric(column: number): boolean {
  const told = answer.rows.map((row) => row[column]).filter((cell) => cell != null);
  return told.length > 0 && told.every((cell) => /^-?\d+(\.\d+)?(e[+-]?\d+)?$/i.test(cell!));
}

function element(name: string, text?: string, kind?: string): HTMLElement {
  const made = document.createElement(name);
  if (text !== undefined) made.textContent = text;
  if (kind) made.className = kind;
  return made;
}

function show(): void {
  const table = element("table");
  const right = answer.names.map((_, n) => (numeric(n) ? "num" : ""));
  const head = element("tr");
  head.append(...answer.names.map((name, n) => element("th", name, right[n])));
  const top = element("thead");
  top.append(head);
  const body = element("tbody");
  for (const row of answer.rows.slice(0, SHOWN)) {
    const line = element("tr");
    line.append(...row.map((cell, n) => element("td", cell ?? "", right[n])));
    body.append(line);
  }
  table.append(top, body);
  document.querySelector("#rows")!.replaceChildren(table);
  const plot = document.querySelector<HTMLElement>("#plot")!;
  const drawn = chart(right);
  plot.hidden = drawn === null;
  plot.replaceChildren(...(drawn ? [drawn] : []));
  result.hidden = false;
}

/** Draw bars of the last number column by the first column, when there are both and 2 to 40 rows. */
function chart(right: string[]): SVGElement | null {
  const amount = right.lastIndexOf("num");
  if (amount < 1 || answer.rows.length < 2 || answer.rows.length > BARS) return null;
  const values = answer.rows.map((row) => ({ name: row[0] ?? "", size: Number(row[amount] ?? 0) }));
  const most = Math.max(...values.map((one) => Math.abs(one.size))) || 1;
  const svg = node("svg", { class: "chart bars", viewBox: `0 0 640 ${values.length * 26}`, role: "img" });
  svg.setAttribute("aria-label", `${answer.names[amount]} / ${answer.names[0]}`);
  values.forEach(({ name, size }, n) => {
    const wide = Math.max((380 * Math.abs(size)) / most, 1);
    const label = node("text", { x: 162, y: n * 26 + 16, "text-anchor": "end" });
    label.textContent = name.length > 14 ? `${name.slice(0, 13)}…` : name;
    const said = node("text", { x: 176 + wide, y: n * 26 + 16, class: "amount" });
    said.textContent = size.toLocaleString();
    svg.append(label, node("rect", { x: 170, y: n * 26 + 4, width: wide, height: 16 }), said);
  });
  return svg;
}

function node(name: string, attributes: Record<string, string | number>): SVGElement {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, String(value));
  return made;
}

/** Return the answer as CSV (RFC 4180); a text that a spreadsheet takes for a formula has an apostrophe before it. */
function csv(): string {
  const cell = (text: string | null): string => {
    const safe = /^[=+@\t\r]|^-(?!\d)/.test(text ?? "") ? `'${text}` : (text ?? "");
    return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
  };
  return [answer.names, ...answer.rows].map((row) => `${row.map(cell).join(",")}\r\n`).join("");
}

function examples(): void {
  const wanted = new URLSearchParams(location.search).get("table");
  const first = tables.find((one) => one.table === wanted) ?? tables[0];
  if (!first) return;
  const group = first.columns[0]!;
  const made: [string, string][] = [
    [say["exampleFirst"]!, `SELECT *\nFROM ${first.table}\nLIMIT 20`],
    [say["exampleCount"]!, `SELECT count(*) AS "rows"\nFROM ${first.table}`],
    [say["exampleGroup"]!, `SELECT "${group}", count(*) AS "rows"\nFROM ${first.table}\nGROUP BY ALL\nORDER BY "rows" DESC\nLIMIT 20`],
  ];
  document.querySelector("#examples")!.append(...made.map(([name, text]) => {
    const button = element("button", name, "second") as HTMLButtonElement;
    button.type = "button";
    button.addEventListener("click", () => { sql.value = text; void run(); });
    return button;
  }));
  sql.value = made[0]![1];
}

examples();
form.hidden = false;
form.addEventListener("submit", (event) => { event.preventDefault(); void run(); });
sql.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) { event.preventDefault(); void run(); }
});
document.querySelector("#share")!.addEventListener("click", () => {
  const address = new URL(`?${new URLSearchParams({ sql: sql.value.trim() })}`, location.href).href;
  history.replaceState(null, "", address);
  void navigator.clipboard?.writeText(address).then(() => { status.textContent = say["askCopied"] ?? ""; }, () => undefined);
});
document.querySelector("#csv")!.addEventListener("click", () => {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([csv()], { type: "text/csv" }));
  link.download = "result.csv";
  link.click();
  URL.revokeObjectURL(link.href);
});
// Who comes from a dataset's page, or puts the cursor into the question, is about to ask.
function expect(): void {
  void started().catch(() => undefined);
  for (const one of tables) if (sql.value.includes(one.table)) void one.open().catch(() => undefined);
}
form.addEventListener("focusin", expect, { once: true });
form.addEventListener("pointerenter", () => { if (!saving) expect(); }, { once: true });
if (new URLSearchParams(location.search).has("table") && !saving) expect();
const shared = new URLSearchParams(location.search).get("sql");
if (shared) { sql.value = shared; void run(); }
