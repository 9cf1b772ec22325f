// A row of bytes with room for scissors between each two.  By mouse: a byte is cut off before it.  By keyboard: arrows
// move, Home and End go to the edges, Enter or Space cuts.
import { glyph, named } from "./bytes.js";
import { element } from "./dom.js";

// How many bytes are shown; a longer request can be cut there, and by the other ways further on.
const MOST_SHOWN = 1500;

export class Scissors {
  constructor(place, changed) {
    this.place = place;
    this.changed = changed;
    this.cuts = new Set();
    this.at = 1;
    this.bytes = "";
    this.row = element("div", { class: "byte-row", tabindex: "0", role: "application", "aria-label": "The bytes, and where they are cut",
      onkeydown: (event) => this.key(event), onclick: (event) => this.click(event) });
    this.said = element("p", { class: "said", role: "status" });
    place.append(this.row, this.said);
  }

  show(bytes) {
    this.bytes = bytes;
    this.cuts = new Set([...this.cuts].filter((place) => place < bytes.length));
    this.at = Math.max(1, Math.min(this.at, bytes.length - 1));
    const shown = [...bytes.slice(0, MOST_SHOWN)].map((byte, index) => {
      const { text, plain } = glyph(byte);
      return element("span", { class: plain ? "byte" : "byte other", "data-at": index }, text);
    });
    const lines = [[]];
    shown.forEach((cell, index) => { lines.at(-1).push(cell); if (bytes[index] === "\n") lines.push([]); });
    const rest = bytes.length - shown.length;
    this.row.replaceChildren(...lines.filter((line) => line.length).map((line) => element("div", {}, line)), rest > 0 ? `and ${rest} more` : "");
    this.mark();
  }

  set(cuts) {
    this.cuts = new Set(cuts);
    this.mark();
  }

  mark() {
    for (const cell of this.row.querySelectorAll(".byte")) {
      const at = Number(cell.dataset.at);
      cell.classList.toggle("cut", this.cuts.has(at));
      cell.classList.toggle("here", at === this.at);
    }
  }

  toggle(at) {
    if (at < 1 || at >= this.bytes.length) return;
    if (!this.cuts.delete(at)) this.cuts.add(at);
    this.at = at;
    this.mark();
    this.say();
    this.changed();
  }

  say() {
    const cut = this.cuts.has(this.at) ? "Cut" : "Not cut";
    this.said.textContent = this.bytes.length > 1 ? `${cut} before byte ${this.at}, ${named(this.bytes[this.at])}; ${this.cuts.size + 1} pieces in all.` : "";
  }

  click(event) {
    const cell = event.target.closest(".byte");
    if (cell) this.toggle(Number(cell.dataset.at));
  }

  key(event) {
    const last = Math.min(this.bytes.length, MOST_SHOWN) - 1;
    const goal = { ArrowLeft: this.at - 1, ArrowRight: this.at + 1, Home: 1, End: last }[event.key];
    if (goal === undefined && event.key !== "Enter" && event.key !== " ") return;
    event.preventDefault();
    if (goal === undefined) return this.toggle(this.at);
    this.at = Math.max(1, Math.min(goal, last));
    this.mark();
    this.say();
    this.row.querySelector(".here")?.scrollIntoView({ block: "nearest" });
  }
}
