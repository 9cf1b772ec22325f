// The handler's own table as a picture: its states in a column, and from each the ways to those that may follow.
import { shape } from "./dom.js";

const [LEFT, WIDE, TALL, GAP] = [26, 106, 19, 7];
const middle = (row) => row * (TALL + GAP) + TALL / 2 + 1;

export class States {
  constructor({ states, table }) {
    this.names = states.map((state) => state.name);
    this.boxes = new Map(states.map((state, row) => [state.name, box(state, row)]));
    this.ways = this.names.flatMap((from) => (table[from] ?? []).map((to) => this.#way(from, to)));
    const height = this.names.length * (TALL + GAP);
    this.svg = shape(
      "svg",
      { class: "states", viewBox: `0 0 184 ${height}`, width: 184, height, role: "img" },
      this.ways.map((way) => way.path),
      [...this.boxes.values()],
    );
  }

  // Onwards on the right, back on the left; the further, the wider.
  #way(from, to) {
    const [one, other] = [this.names.indexOf(from), this.names.indexOf(to)];
    const far = Math.abs(other - one);
    const [side, bulge] = other > one ? [LEFT + WIDE, 8 + far * 8] : [LEFT, -(4 + far * 6)];
    const [y, end] = [middle(one) + 3, middle(other) - 3];
    const tip = other > one ? `l5 -3.5m-5 3.5l5 3.5` : `l-5 -3.5m5 3.5l-5 3.5`;
    const d = `M${side} ${y}C${side + bulge} ${y} ${side + bulge} ${end} ${side} ${end}${tip}`;
    return { from, to, path: shape("path", { class: "way", d }) };
  }

  show({ state, before }) {
    for (const [name, node] of this.boxes) {
      node.setAttribute("class", `node${name === state ? " here" : name === before ? " before" : ""}`);
    }
    const next = [];
    for (const { from, to, path } of this.ways) {
      const taken = from === before && to === state;
      if (from === state) next.push(to);
      path.setAttribute("class", `way${taken ? " taken" : from === state ? " open" : ""}`);
    }
    const may = next.length ? `; from here: ${next.join(", ")}` : "";
    this.svg.setAttribute("aria-label", `State: ${state}${may}`);
  }
}

function box({ name, sentence }, row) {
  const y = row * (TALL + GAP) + 1;
  return shape(
    "g",
    { class: "node" },
    shape("title", {}, sentence),
    shape("rect", { x: LEFT, y, width: WIDE, height: TALL, rx: 5 }),
    shape("text", { x: LEFT + WIDE / 2, y: y + 13.5, "text-anchor": "middle" }, name),
  );
}
