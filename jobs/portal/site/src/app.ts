// What every page does with scripts: language, dark mode, the catalogue's filters, the correction form.
import { type Searched, score, words } from "./search";

const root = document.body.dataset["root"] ?? "";

function darkMode(): void {
  const button = document.querySelector<HTMLButtonElement>("#dark");
  const saved = localStorage.getItem("theme");
  if (saved === "dark" || saved === "light") document.documentElement.dataset["theme"] = saved;
  if (!button) return;
  button.hidden = false;
  button.addEventListener("click", () => {
    const chosen = document.documentElement.dataset["theme"];
    const dark = chosen ? chosen === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
    const next = dark ? "light" : "dark";
    document.documentElement.dataset["theme"] = next;
    localStorage.setItem("theme", next);
  });
}

function language(): void {
  const link = document.querySelector<HTMLAnchorElement>("#language");
  // What was asked or filtered stays when the language changes.
  link?.addEventListener("click", () => { link.href = link.href.split(/[?#]/)[0] + location.search + location.hash; });
}

function catalogue(form: HTMLFormElement): void {
  const list = document.querySelector<HTMLOListElement>("#datasets")!;
  const items = [...list.children] as HTMLLIElement[];
  const count = document.querySelector("#count")!;
  const none = document.querySelector<HTMLElement>("#none")!;
  const tag = document.documentElement.lang;
  let index: Promise<Map<string, Searched>> | undefined;
  const read = (): Promise<Map<string, Searched>> => {
    index ??= fetch(`${root}site/search.json`)
      .then((answer) => answer.json() as Promise<Searched[]>)
      .then((all) => new Map(all.map((one) => [one.slug, one])));
    return index;
  };
  let turn = 0;

  async function show(): Promise<void> {
    const mine = ++turn;
    const asked = new Map([...new FormData(form)].map(([name, value]) => [name, String(value)]));
    const query = words(asked.get("q") ?? "");
    const known = query.length > 0 ? await read() : new Map<string, Searched>();
    if (mine !== turn) return;
    const kept: { item: HTMLLIElement; points: number }[] = [];
    for (const item of items) {
      const fits = ["domain", "department", "grade", "format", "cycle"].every((name) => {
        const wanted = asked.get(name);
        return !wanted || (item.dataset[name] ?? "").split(" ").includes(wanted);
      });
      const one = known.get(item.id);
      const points = query.length === 0 ? 1 : one ? score(one, query) : 0;
      item.hidden = !fits || points === 0;
      if (!item.hidden) kept.push({ item, points });
    }
    const title = (item: HTMLLIElement): string => item.querySelector("h3")?.textContent ?? "";
    const order: Record<string, (a: HTMLLIElement, b: HTMLLIElement) => number> = {
      fresh: (a, b) => (b.dataset["fresh"] ?? "").localeCompare(a.dataset["fresh"] ?? ""),
      title: (a, b) => title(a).localeCompare(title(b), tag),
      rows: (a, b) => Number(b.dataset["rows"]) - Number(a.dataset["rows"]),
    };
    const by = order[asked.get("sort") ?? "fresh"] ?? order["fresh"]!;
    kept.sort((a, b) => b.points - a.points || by(a.item, b.item));
    list.append(...kept.map((one) => one.item));
    count.textContent = String(kept.length);
    none.hidden = kept.length > 0 || items.length === 0;
    const said = new URLSearchParams([...asked].filter(([name, value]) => value && !(name === "sort" && value === "fresh")));
    history.replaceState(null, "", said.size > 0 ? `?${said}` : location.pathname);
  }

  for (const [name, value] of new URLSearchParams(location.search)) {
    const field = form.elements.namedItem(name);
    if (field instanceof HTMLInputElement || field instanceof HTMLSelectElement) field.value = value;
  }
  form.hidden = false;
  form.addEventListener("input", () => void show());
  form.addEventListener("reset", () => setTimeout(() => void show()));
  form.addEventListener("submit", (event) => { event.preventDefault(); void show(); });
  document.addEventListener("keydown", (event) => {
    const typing = event.target instanceof HTMLElement && event.target.matches("input, textarea, select");
    if (event.key === "/" && !typing) {
      event.preventDefault();
      form.querySelector<HTMLInputElement>("[name=q]")?.focus();
    }
  });
  void show();
}

function correction(form: HTMLFormElement): void {
  const mail = document.querySelector<HTMLAnchorElement>("#mail");
  const { to = "", about = "" } = form.dataset;
  const text = (): string => {
    const said = new FormData(form);
    return `${about}\n${String(said.get("where"))}\n\n${String(said.get("what"))}\n`;
  };
  form.hidden = false;
  form.addEventListener("input", () => {
    if (mail) mail.href = `mailto:${to}?subject=${encodeURIComponent(about)}&body=${encodeURIComponent(text())}`;
  });
  form.querySelector("[name=save]")?.addEventListener("click", () => {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([`${to}\n${text()}`], { type: "text/plain" }));
    link.download = `correction-${about.replace(/[^\w.-]+/g, "-")}.txt`;
    link.click();
    URL.revokeObjectURL(link.href);
  });
}

darkMode();
language();
const filters = document.querySelector<HTMLFormElement>("#filters");
if (filters) catalogue(filters);
const form = document.querySelector<HTMLFormElement>("#correction");
if (form) correction(form);
