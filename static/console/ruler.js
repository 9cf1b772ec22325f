// One direction's bytes on a ruler, one cell a byte, with lanes for what was done with them.
//
// Only the window is drawn.  It goes where the step's bytes are; a slider, the wheel or a swipe move it elsewhere.
import { glyph, named } from "./bytes.js";
import { counted, element, grouped, shape } from "./dom.js";
import { draw_lane, LANE } from "./lanes.js";

const CELL = 13;
const TALL = 22;
const GUTTER = 58;

export class Ruler {
  // `direction` is "in" or "out"; `choose(direction, position)` is called for a byte that is clicked.
  constructor(direction, title, legend, lanes, events, choose) {
    Object.assign(this, { direction, lanes, events, choose });
    this.from = 0;
    this.columns = 40;
    this.chosen = null;
    this.told = element("span", { class: "told" });
    this.svg = shape("svg", {
      class: "ruler", tabindex: 0, role: "slider", "aria-label": `${title}: choose a byte with the arrow keys`,
    });
    const scroll = `${title}: scroll`;
    this.slider = element("input", { type: "range", min: 0, step: 1, class: "window", "aria-label": scroll });
    this.place = element(
      "section",
      { class: `bytes ${direction}` },
      element("h2", {}, title, " ", this.told),
      this.svg,
      this.slider,
      element("p", { class: "swatches" }, legend.map(([kind, text]) => element("span", { class: kind }, text))),
    );
    this.#listen();
  }

  #listen() {
    this.slider.addEventListener("input", () => this.#scroll(Number(this.slider.value)));
    this.svg.addEventListener("click", (event) => {
      const at = this.#position(event);
      if (at !== null) this.choose(this.direction, at);
    });
    this.svg.addEventListener("wheel", (event) => {
      const by = Math.abs(event.deltaX) > Math.abs(event.deltaY) ? event.deltaX : event.shiftKey ? event.deltaY : 0;
      if (!by) return;
      event.preventDefault();
      this.#scroll(this.from + Math.sign(by) * Math.ceil(Math.abs(by) / CELL));
    });
    this.svg.addEventListener("keydown", (event) => {
      const by = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: this.columns, ArrowUp: -this.columns }[event.key];
      if (!by || event.ctrlKey || event.metaKey || event.altKey) return;
      event.preventDefault();
      event.stopPropagation();
      const at = Math.min(Math.max((this.chosen ?? this.from - 1) + by, 0), this.lanes.total - 1);
      if (at < 0) return;
      this.#reveal({ start: at, length: 1 });
      this.choose(this.direction, at);
    });
  }

  #position(event) {
    const column = Math.floor((event.clientX - this.svg.getBoundingClientRect().left - GUTTER) / CELL);
    const at = this.from + column;
    return column >= 0 && column < this.columns && at < this.lanes.total ? at : null;
  }

  #scroll(to) {
    this.from = Math.min(Math.max(to, 0), Math.max(0, this.lanes.total - this.columns));
    this.#draw();
  }

  // Have these bytes in the window: all, or as many of the first as fit.
  #reveal({ start, length }) {
    const end = start + Math.min(length, this.columns);
    if (start < this.from || end > this.from + this.columns) {
      this.from = Math.max(0, Math.min(start - 2, Math.max(0, this.lanes.total - this.columns)));
      if (end > this.from + this.columns) this.from = start;
    }
  }

  fit(width) {
    this.columns = Math.max(8, Math.floor((width - GUTTER - 1) / CELL));
    this.from = Math.min(this.from, Math.max(0, this.lanes.total - this.columns));
  }

  // Show the stream after a step; `told` is a line about it.
  show(state, index, told) {
    [this.state, this.index] = [state, index];
    this.told.textContent = told;
    const last = this.lanes.last_before(index);
    if (last !== this.last) this.#reveal(place_of(this.events[last]));
    this.last = last;
    const drawn = [this.from, this.columns, last, last === index, state.held, state.taken, state.refused?.start].join();
    if (drawn !== this.drawn) this.#draw();
    this.drawn = drawn;
  }

  follow(chosen) {
    this.chosen = chosen;
    this.#draw();
  }

  #draw() {
    const { from, columns, index, lanes } = this;
    const to = Math.min(from + columns, Math.max(lanes.total, from + 1));
    const window = { from, to: from + columns, columns, index, cell: CELL, left: GUTTER };
    const above = lanes.lanes.filter((lane) => lane.name !== "refused");
    const below = lanes.lanes.find((lane) => lane.name === "refused" && lane.spans.length);
    const parts = above.flatMap((lane, row) => draw_lane(lane, row * LANE, window));
    const top = above.length * LANE + 2;
    parts.push(...this.#cells(top, to), ...this.#numbers(top + TALL, to));
    const bottom = top + TALL + 18;
    if (below) parts.push(...draw_lane(below, bottom, window));
    const [width, height] = [GUTTER + columns * CELL + 1, bottom + (below ? LANE : 0)];
    this.svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
    this.svg.setAttribute("width", width);
    this.svg.setAttribute("height", height);
    this.svg.replaceChildren(...parts);
    this.#tell(to);
  }

  #tell(to) {
    const { svg, slider, lanes, from, columns, chosen } = this;
    const byte = chosen === null ? undefined : lanes.bytes(chosen, chosen + 1)[0];
    const where = `bytes ${from} to ${to - 1} of ${counted(lanes.total)} are shown`;
    svg.setAttribute("aria-valuemin", 0);
    svg.setAttribute("aria-valuemax", Math.max(0, lanes.total - 1));
    svg.setAttribute("aria-valuenow", chosen ?? from);
    svg.setAttribute("aria-valuetext", byte ? `byte ${chosen}: ${named(byte)}` : where);
    slider.hidden = lanes.total <= columns;
    slider.max = Math.max(0, lanes.total - columns);
    slider.value = from;
  }

  // A box for each run of bytes of one kind, lines between the cells, and the letters: all that fit in one element.
  #cells(top, to) {
    const bytes = this.lanes.bytes(this.from, to);
    const [boxes, plain, places, written] = [[], [], [], []];
    let run;
    bytes.forEach((byte, column) => {
      const at = this.from + column;
      const [kind, x] = [this.#kind(at, byte), GUTTER + column * CELL];
      if (run?.kind !== kind) boxes.push((run = { kind, x, cells: 0 }));
      run.cells++;
      if (byte === undefined || byte === null || kind === "ghost") return;
      const letter = glyph(byte);
      if (letter.plain) {
        plain.push(letter.text);
        places.push(x + CELL / 2);
      } else written.push(shape("text", { class: "letter written", x: x + CELL / 2, y: top + 15 }, letter.text));
    });
    const grid = bytes.map((_, column) => `M${GUTTER + column * CELL} ${top}v${TALL}`).join("");
    return [
      ...boxes.map(({ kind, x, cells }) => box(`cell ${kind}`, x, top, cells)),
      shape("path", { class: "grid", d: grid }),
      shape("text", { class: "letter", x: places.join(" "), y: top + 15 }, plain.join("")),
      ...written,
      ...this.#chosen_cell(top, to),
    ];
  }

  #chosen_cell(top, to) {
    const { chosen, from } = this;
    if (chosen === null || chosen < from || chosen >= to) return [];
    return [box("chosen", GUTTER + (chosen - from) * CELL, top, 1)];
  }

  // What has become of a byte.
  #kind(at, byte) {
    const { state } = this;
    const come = this.direction === "in" ? state.received : state.refilled;
    if (at >= come || byte === undefined) return "ghost";
    if (byte === null) return at < state.sent ? "unknown gone" : "unknown";
    if (this.direction === "out") return at < state.sent ? "gone" : "waiting";
    const { refused } = state;
    if (refused && at >= refused.start && at < refused.start + refused.length) return "refused";
    if (at < state.taken) return "gone";
    return at >= state.received - state.held ? "held" : "waiting";
  }

  #numbers(top, to) {
    const drawn = [];
    for (let at = Math.ceil(this.from / 10) * 10; at < to; at += 10) {
      const x = GUTTER + (at - this.from) * CELL + 0.5;
      drawn.push(shape("path", { class: "tick", d: `M${x} ${top}v5` }));
      const number = grouped(at);
      if ((at - this.from) * CELL + number.length * 5.5 > this.columns * CELL) break;
      drawn.push(shape("text", { class: "number", x: x + 2, y: top + 13 }, number));
    }
    return drawn;
  }
}

const box = (kind, x, y, cells) => shape("rect", { class: kind, x, y, width: cells * CELL, height: TALL });

// Where an event's bytes are; of what was searched, the place that matters.
function place_of(event) {
  if (!event) return { start: 0, length: 1 };
  const { start, length, at, held } = event.data;
  if (at !== null && at !== undefined) return { start: at, length: 1 };
  return held ? { start: start + length - held, length: held } : { start, length };
}
