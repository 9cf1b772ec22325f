// The live page: one lane a connection on a common axis, told by Server-Sent Events.
import { counted, element, shape } from "./dom.js";
import { Lanes } from "./live.js";

const ROW = 34;
const AXIS = 22;
const MARK = 7;
const EDGE = 10;
// A pause between two turns is as wide as it is long, in milliseconds, but no wider than this; a longer one is told.
const MOST_PAUSE = 34;
const TOLD_PAUSE = 100;
// How often the lanes are drawn at the most, and how soon the table follows, in milliseconds.
const DRAWN_EVERY = 120;
const TABLE_AFTER = 400;

const lanes = new Lanes();
const status = document.querySelector(".live");
const list = document.querySelector(".lane-list");
const rows = document.querySelector(".connections tbody");
const none = document.querySelector(".none");

const names = element("ol", { class: "lane-names" });
const picture = element("div", { class: "lane-picture", tabindex: "0", role: "region", "aria-label": "The lanes; the table below says the same in words." });
const pause = element("button", { type: "button", "aria-pressed": "false", onclick: toggle }, "Hold still");
list.append(names, picture);
status.after(pause);

let held = false;
let drawing = 0;
let telling = 0;
let gap = "";

function toggle() {
  held = !held;
  pause.setAttribute("aria-pressed", held);
  pause.textContent = held ? "Go on" : "Hold still";
  if (held) rest();
  else changed();
}

// What was going to be drawn when the button was pressed is not drawn either.
function rest() {
  clearTimeout(drawing);
  clearTimeout(telling);
  drawing = 0;
}

function changed() {
  if (held) return;
  drawing ||= setTimeout(draw, DRAWN_EVERY);
  clearTimeout(telling);
  telling = setTimeout(tell, TABLE_AFTER);
}

// ---- the lanes

// Where each turn begins, and how wide it is; and the pauses that were cut short.
function columns() {
  const places = new Map();
  const pauses = [];
  let x = EDGE;
  let before = null;
  for (const turn of lanes.turns()) {
    if (before) {
      const waited = Math.max(0, turn.at - before.at);
      const width = Math.min(MOST_PAUSE, 3 + waited);
      if (waited >= TOLD_PAUSE) pauses.push({ x: x + width / 2, text: spoken(waited) });
      x += width;
    }
    const width = turn.most * MARK + 4;
    places.set(turn.tick, { x, width, several: turn.lanes.size > 1 });
    x += width;
    before = turn;
  }
  return { places, pauses, width: x + EDGE };
}

const spoken = (ms) => (ms < 1000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(1)} s`);

function draw() {
  drawing = 0;
  const followed = picture.scrollLeft + picture.clientWidth >= picture.scrollWidth - 40;
  const { places, pauses, width } = columns();
  const height = AXIS + lanes.lanes.size * ROW;
  const turns = [...places.values()].map((place) =>
    shape("rect", { class: place.several ? "turn shared" : "turn", x: place.x - 1, y: AXIS, width: place.width, height: height - AXIS }));
  const told = pauses.map((one) => shape("text", { class: "pause", x: one.x, y: AXIS - 8, "text-anchor": "middle" }, one.text));
  // The newest on top.
  const ordered = [...lanes.lanes.entries()].reverse();
  const drawn = ordered.map(([connection, lane], index) => line(connection, lane, AXIS + index * ROW + ROW / 2, places));
  picture.replaceChildren(shape("svg", { width, height }, turns, told, drawn));
  names.replaceChildren(...ordered.map(([connection, lane]) => element("li", {},
    element("a", { href: `/wire/${connection}` }, element("b", {}, `${connection}`), " ", lane.told || lane.head.peer))));
  if (followed) picture.scrollLeft = picture.scrollWidth;
}

function line(connection, lane, y, places) {
  if (!lane.first) return null;
  const start = places.get(lane.first.tick);
  const end = places.get(lane.last.tick);
  const used = new Map();
  const marks = lane.marks.map((mark) => {
    const count = used.get(mark.tick) ?? 0;
    used.set(mark.tick, count + 1);
    const x = places.get(mark.tick).x + 2 + count * MARK;
    return shape("a", { href: `/wire/${connection}#n=${mark.n}`, tabindex: "-1" }, form(mark.meaning, x, y), shape("title", {}, mark.text));
  });
  const last = end.x + end.width - 4;
  const open = lane.closed ? shape("rect", { class: "end", x: last - 2, y: y - 6, width: 2, height: 12 }) : shape("circle", { class: "open", cx: last, cy: y, r: 3 });
  return shape("g", { class: "lane" }, shape("line", { x1: start.x, x2: last, y1: y, y2: y }), marks, open);
}

// What comes in stands above the line, what goes out below, the rest on it.
function form(meaning, x, y) {
  if (meaning === "in") return shape("rect", { class: "in", x, y: y - 11, width: 5, height: 11 });
  if (meaning === "out") return shape("rect", { class: "out", x, y, width: 5, height: 11 });
  if (meaning === "refused") return shape("path", { class: "refused", d: `M${x - 1} ${y - 5}l7 10m0 -10l-7 10` });
  if (meaning === "held") return shape("circle", { class: "held", cx: x + 2.5, cy: y, r: 2.5 });
  return shape("path", { class: "state", d: `M${x + 2.5} ${y - 5}l3.5 5l-3.5 5l-3.5 -5z` });
}

// ---- the table

async function tell() {
  const answer = await fetch("/api/connections").catch(() => null);
  if (!answer?.ok) return;
  const newest = (await answer.json()).reverse();
  if (held) return;
  rows.replaceChildren(...newest.map((one) => element("tr", {},
    element("td", {}, element("a", { href: `/wire/${one.connection}` }, `${one.connection}`)),
    element("td", {}, one.peer || "a unix socket"),
    element("td", {}, element("code", {}, one.requests.join(", ") || (one.closed ? "none" : "none yet"))),
    element("td", { class: "count" }, one.bytes_in.toLocaleString("en")),
    element("td", { class: "count" }, one.bytes_out.toLocaleString("en")),
    element("td", {}, one.state + (one.by ? `, by ${one.by}` : "")))));
  none.hidden = newest.length > 0;
  status.textContent = `Live: ${counted(newest.length, "connection")}${gap}`;
}

// ---- the feed

const feed = new EventSource("/api/feed");
feed.onopen = () => { status.textContent = "Live"; status.classList.add("on"); changed(); };
feed.onerror = () => { status.textContent = "Not connected; trying again"; status.classList.remove("on"); };
feed.onmessage = ({ data }) => { lanes.take(JSON.parse(data)); changed(); };
feed.addEventListener("gap", () => { gap = "; earlier steps are not kept any more"; });
addEventListener("pagehide", () => feed.close());
// A page that comes back from the browser's memory has no feed any more.
addEventListener("pageshow", ({ persisted }) => { if (persisted) location.reload(); });
