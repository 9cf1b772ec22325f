// What came of an experiment: the answer, the guilty bytes, a square for each cut, and the two conversations side by side.
import { glyph } from "./bytes.js";
import { counted, element } from "./dom.js";

// How much is shown around what is at fault.
const AROUND = 120;

export function verdict(result, bytes) {
  const { status, reason, rule, start, length } = result.verdict;
  return [
    element("h2", { class: rule ? "refused" : "" }, status ? `${status}: ${reason}` : reason),
    rule ? element("p", { class: "rule" }, section(rule), ` · ${span(start, length)}`) : null,
    rule ? guilty(bytes, start, length) : null,
    squares(result),
    result.sides.length === 2 ? twin(result) : null,
  ];
}

function span(start, length) {
  if (!length) return `something is missing before byte ${start}`;
  return length === 1 ? `byte ${start}` : `bytes ${start} to ${start + length - 1}`;
}

function section(rule) {
  const found = /^RFC (\d+) §(\S+)$/.exec(rule);
  return found ? element("a", { href: `https://www.rfc-editor.org/rfc/rfc${found[1]}#section-${found[2]}`, rel: "noreferrer" }, rule) : rule;
}

function guilty(bytes, start, length) {
  const from = Math.max(0, start - AROUND);
  const to = Math.min(bytes.length, start + length + AROUND);
  const cells = [...bytes.slice(from, to)].map((byte, index) => {
    const at = from + index;
    const { text, plain } = glyph(byte);
    const kind = [plain ? "byte" : "byte other", at >= start && at < start + length ? "guilty" : "", !length && at === start ? "missing" : ""].join(" ");
    return [element("span", { class: kind }, text), byte === "\n" ? element("br") : null];
  });
  if (!length && start >= to) cells.push(element("span", { class: "byte missing" }, " "));
  return element("div", { class: "byte-row", "aria-label": "The request, its guilty bytes marked" }, from ? "… " : null, cells, to < bytes.length ? " …" : null);
}

export function squares({ squares: tried, total, done, equal, broken = [] }) {
  const row = tried.map((same, index) => element("span", { class: same ? "square" : "square differs", title: `cut ${index + 1}: ${same ? "the same" : "a difference"}` }));
  const text = !done ? `${tried.length} of ${counted(total, "cutting")} tried` : !total ? "One byte cannot be cut."
    : equal ? `${counted(total, "cutting")}: the same messages, the same answers.`
    : `${counted(tried.filter((same) => !same).length, "cutting")} of ${total} made a difference${tried.length < total ? `; ${total - tried.length} were not tried` : ""}.`;
  return element("div", { class: equal === false ? "tried differs" : "tried" }, element("p", {}, text), broken.map((one) => element("p", {}, one)),
    element("p", { class: "squares", role: "img", "aria-label": text }, row));
}

// ---- the two, side by side

function twin({ sides: [whole, cut] }) {
  const rows = Math.max(whole.events.length, cut.events.length);
  const body = Array.from({ length: rows }, (_, index) => {
    const [one, other] = [whole.events[index], cut.events[index]];
    const same = one?.sentence === other?.sentence;
    return element("tr", { class: same ? "" : "differs" }, said(whole, one), element("td", { class: "join" }, element("span", { role: "img", "aria-label": same ? "the same" : "different" }, same ? "=" : "≠")), said(cut, other));
  });
  return element("div", { class: "wide" }, element("table", { class: "twin" },
    element("caption", {}, "What was understood, of the bytes whole and of the bytes cut"),
    element("thead", {}, element("tr", {}, heading("Whole", whole), element("th", {}), heading("Cut", cut))), element("tbody", {}, body)));
}

function heading(name, side) {
  const total = side.pieces.reduce((sum, [, length]) => sum + length, 0);
  const bar = element("span", { class: "pieces", "aria-hidden": "true" }, side.pieces.slice(0, 400).map(([, length]) => element("i", { "data-length": length })));
  for (const piece of bar.children) piece.style.flexGrow = piece.dataset.length;
  return element("th", { scope: "col" }, `${name}, in ${counted(side.pieces.length, "piece")} of ${counted(total)} `, element("a", { href: `/wire/${side.connection}` }, `connection ${side.connection}`), bar);
}

function said(side, event) {
  return element("td", {}, event ? element("a", { href: `/wire/${side.connection}#n=${event.n}` }, event.sentence) : "nothing");
}
