// A lane above a ruler: a bar for each thing that was done with some bytes, as far as it has been done.
import { shape } from "./dom.js";

export const LANE = 19;
const BAR = 15;
// The width of a letter in a bar.
const LETTER = 5.9;

// `window` says which bytes are drawn (`from`…`to`), where (`left`, `cell`), and after which event (`index`).
export function draw_lane(lane, top, window) {
  const title = shape("title", {}, lane.title);
  const name = shape("text", { class: `lane ${lane.name}`, x: 0, y: top + 11.5 }, title, lane.name);
  const seen = lane.spans.length ? lane.within(window.from, window.to) : [];
  const bars = seen.filter((span) => span.index <= window.index).flatMap((span) => bar(span, top, window));
  return [name, ...bars];
}

function bar(span, top, { from, to, columns, index, cell, left }) {
  const [first, last] = [Math.max(span.start, from), Math.min(span.start + span.length, to)];
  const x = left + (first - from) * cell + 1;
  const kind = `${span.kind}${span.index === index ? " now" : ""}`;
  const width = Math.max((last - first) * cell - 2, 1);
  const box = span.length
    ? shape("rect", { class: `bar ${kind}`, x, y: top, width, height: BAR, rx: 3 })
    : shape("path", { class: `bar ${kind}`, d: `M${x - 1} ${top}l5 10h-10z` });
  if (span.kind !== "refused") return [box, ...label(span, x + 4, top, width - 6)];
  const room = left + columns * cell - x - width - 8;
  if (room > span.label.length * LETTER) return [box, ...label(span, x + width + 6, top, room)];
  return [box, ...label(span, x - 8, top, x - left, "end")];
}

function label({ label: text, kind }, x, top, room, anchor = "start") {
  const fits = Math.floor(room / LETTER);
  if (text.length > fits) text = fits > 3 ? `${text.slice(0, fits - 1)}…` : "";
  return text ? [shape("text", { class: `said ${kind}`, x, y: top + 11, "text-anchor": anchor }, text)] : [];
}
