// All events in a row, in the colours of what they are, above the states that the connection was in.
import { element, shape } from "./dom.js";

const TALL = 26;
const BAND = 7;

const KINDS = {
  "channel:received": "in", "channel:eof": "in", "chat:scanned": "in", "chat:collected": "in",
  "chat:terminator_found": "in", "chat:discarded": "in",
  "chat:refilled": "out", "channel:sent": "out", "chat:pushed": "out", "http:responded": "out",
  "http:refused": "refused", "channel:timed_out": "refused", "channel:error": "refused", "app:raised": "refused",
};
const LEGEND = [
  ["in", "bytes in"], ["state", "messages, site, states (the band)"], ["out", "bytes out"], ["refused", "trouble"],
  ["other", "the loop and the rest"],
];
const kind_of = ({ name }) => KINDS[name] ?? (/^(http|app):/.test(name) ? "state" : "other");

export class Timeline {
  constructor(events, broken, sentences, go) {
    this.events = events;
    this.broken = broken;
    this.sentences = sentences;
    this.go = go;
    this.index = 0;
    this.width = 100;
    this.marked = [];
    this.svg = shape("svg", {
      class: "timeline", tabindex: 0, role: "slider",
      "aria-label": "Step", "aria-valuemin": 0, "aria-valuemax": events.length - 1,
    });
    const legend = LEGEND.map(([kind, text]) => element("span", { class: kind }, text));
    this.place = element("div", { class: "track" }, this.svg, element("p", { class: "swatches" }, legend));
    this.#listen();
  }

  #listen() {
    const to = ({ clientX }) => {
      const along = (clientX - this.svg.getBoundingClientRect().left) / this.width;
      const index = Math.floor(along * this.events.length);
      this.go(Math.min(Math.max(index, 0), this.events.length - 1));
    };
    this.svg.addEventListener("pointerdown", (event) => {
      if (event.button !== 0) return;
      this.svg.setPointerCapture(event.pointerId);
      to(event);
    });
    this.svg.addEventListener("pointermove", (event) => this.svg.hasPointerCapture(event.pointerId) && to(event));
  }

  #x(index) {
    return ((index + 0.5) / this.events.length) * this.width;
  }

  // Draw it anew for a width: a path for each kind, however many events there are.
  fit(width) {
    this.width = width;
    const paths = {};
    const drawn = new Set();
    this.events.forEach((event, index) => {
      const [kind, x] = [kind_of(event), Math.round(this.#x(index) * 2) / 2];
      if (drawn.has(`${kind} ${x}`)) return;
      drawn.add(`${kind} ${x}`);
      paths[kind] = `${paths[kind] ?? ""}M${x} ${kind === "other" ? 10 : 4}V${TALL - BAND - 3}`;
    });
    const wide = Math.min(6, Math.max(1, (width / this.events.length) * 0.6));
    const ticks = Object.entries(paths).map(([kind, d]) =>
      shape("path", { class: `ticks ${kind}`, d, "stroke-width": wide }),
    );
    const faults = this.broken.map(({ index }) =>
      shape("path", { class: "fault", d: `M${this.#x(index)} 9l-5 -8h10z` }),
    );
    this.veil = shape("rect", { class: "veil", y: 0, height: TALL });
    this.marks = shape("path", { class: "marks" });
    this.head = shape("path", { class: "head" });
    this.svg.setAttribute("viewBox", `0 0 ${width} ${TALL + 4}`);
    this.svg.setAttribute("width", width);
    this.svg.setAttribute("height", TALL + 4);
    this.svg.replaceChildren(...this.#bands(), ...ticks, ...faults, this.marks, this.veil, this.head);
    this.mark(this.marked);
  }

  #bands() {
    const changes = [{ index: 0, name: "" }];
    this.events.forEach(({ name, data }, index) => {
      if (name === "http:state_changed") changes.push({ index, name: data.new });
    });
    return changes.map(({ index, name }, at) => {
      const x = (index / this.events.length) * this.width;
      const end = ((changes[at + 1]?.index ?? this.events.length) / this.events.length) * this.width;
      const band = { class: `band b${at % 2}`, x, y: TALL - BAND, width: Math.max(0, end - x - 1), height: BAND };
      return shape("rect", band, shape("title", {}, name || "the first state"));
    });
  }

  // The events of a byte that is followed.
  mark(indices) {
    this.marked = indices;
    this.marks.setAttribute("d", indices.map((index) => `M${this.#x(index)} 0v${TALL}`).join(""));
  }

  show(index, hidden) {
    this.index = index;
    const x = this.#x(index);
    this.head.setAttribute("d", `M${x} 0v${TALL + 4}m-4 -${TALL + 4}h8l-4 6z`);
    this.veil.setAttribute("x", x + 3);
    this.veil.setAttribute("width", hidden ? Math.max(0, this.width - x - 3) : 0);
    this.svg.setAttribute("aria-valuenow", index);
    this.svg.setAttribute("aria-valuetext", `event ${this.events[index].n}: ${this.sentences[index]}`);
  }
}
