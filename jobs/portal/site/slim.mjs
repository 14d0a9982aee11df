// Make the query engine quicker to start. DuckDB's module exports 75,000 symbols for extensions that would be fetched
// from its makers' server; this site fetches none, and a browser spends seconds on making them. Only the exports that
// the engine's own script can name, or that the module imports from itself, are kept; no code is changed.
// Format: WebAssembly Core Specification 2.0, section 5.5 (binary format, modules).

const IMPORTS = 2;
const EXPORTS = 7;

/** Return the module with only the exports that `script` may ask for; throw when it is not a module. */
export function slim(module, script) {
  if (module.readUInt32LE(0) !== 0x6d736100) throw new Error("not a WebAssembly module");
  const named = new Set(script.match(/[A-Za-z_$][\w$]*/g));
  const parts = [module.subarray(0, 8)];
  for (let at = 8; at < module.length;) {
    const kind = module[at];
    const [size, start] = number(module, at + 1);
    const body = module.subarray(start, start + size);
    if (kind === IMPORTS) for (const name of body.toString("latin1").match(/[A-Za-z_$][\w$]*/g)) named.add(name);
    const kept = kind === EXPORTS ? exported(body, named) : body;
    parts.push(Buffer.from([kind]), encoded(kept.length), kept);
    at = start + size;
  }
  return Buffer.concat(parts);
}

/** Return the section of exports with those that are named; a C symbol is `_name` in the script. */
function exported(body, named) {
  const [count, first] = number(body, 0);
  const kept = [];
  let at = first;
  for (let n = 0; n < count; n += 1) {
    const [length, start] = number(body, at);
    const name = body.toString("utf8", start, start + length);
    const [, end] = number(body, start + length + 1);
    if (named.has(name) || named.has(`_${name}`) || name.startsWith("dynCall_")) kept.push(body.subarray(at, end));
    at = end;
  }
  return Buffer.concat([encoded(kept.length), ...kept]);
}

/** Return the number at a place (LEB128, unsigned) and the place after it. */
function number(bytes, place) {
  let value = 0;
  let at = place;
  for (let shift = 0; ; shift += 7) {
    const byte = bytes[at];
    at += 1;
    value += (byte & 127) * 2 ** shift;
    if (byte < 128) return [value, at];
  }
}

function encoded(value) {
  const bytes = [];
  for (let left = value; ; ) {
    const low = left & 127;
    left >>>= 7;
    bytes.push(left ? low | 128 : low);
    if (!left) return Buffer.from(bytes);
  }
}
