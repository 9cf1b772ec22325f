// Predict: what comes next?  The choices are sentences of the recording itself; the score is kept for each step once.
import { element } from "./dom.js";

const CHOICES = 4;
// Turns of the loop come when they come: nobody could know.
const dull = ({ name }) => name.startsWith("loop:") || name.startsWith("trace:");

// The next event worth asking for, by index; -1 for none.
function next_of(events, index) {
  for (let at = index + 1; at < events.length; at++) if (!dull(events[at])) return at;
  return -1;
}

// The choices at a step, by index: what comes, and the nearest events of other kinds, always in the same order.
function choices_at(events, index) {
  const right = next_of(events, index);
  const chosen = [right];
  const known = new Set([events[right].name]);
  for (let far = 1; far < events.length && chosen.length < CHOICES; far++) {
    for (const at of [right + far, right - far]) {
      const event = events[at];
      if (!event || at === index || dull(event) || known.has(event.name) || chosen.length === CHOICES) continue;
      known.add(event.name);
      chosen.push(at);
    }
  }
  return chosen.sort((a, b) => shuffled(a, index) - shuffled(b, index));
}

const shuffled = (at, index) => Math.imul(at * 2654435761 + index * 40503, 2246822519) >>> 0;

export class Predict {
  constructor(events, sentences, go) {
    [this.events, this.sentences, this.go] = [events, sentences, go];
    this.answers = new Map();
    this.index = 0;
    this.on = false;
    this.verdict = element("p", { class: "verdict", role: "status" });
    this.score = element("p", { class: "score" });
    this.list = element("ol", {});
    this.place = element(
      "section", { class: "predict", hidden: true },
      this.verdict, element("h2", {}, "What comes next?"), this.list, this.score,
    );
  }

  turn() {
    this.on = !this.on;
    this.place.hidden = !this.on;
    this.verdict.textContent = "";
  }

  show(index) {
    if (index !== this.shown) this.verdict.textContent = "";
    this.index = index;
    if (!this.on) return;
    const right = next_of(this.events, index);
    this.choices = right < 0 ? [] : choices_at(this.events, index);
    this.list.replaceChildren(...this.choices.map((at, place) => this.#choice(at, place, right)));
    if (right < 0) this.list.replaceChildren(element("li", {}, "Nothing: the recording ends here."));
    const given = [...this.answers.values()];
    this.score.textContent = given.length
      ? `${given.filter(Boolean).length} of ${given.length} right`
      : "Choose with the keys 1 to 4, or go on without an answer.";
  }

  #choice(at, place, right) {
    const button = element("button", { type: "button", onclick: () => this.answer(place) });
    button.append(element("kbd", {}, String(place + 1)), ` ${this.sentences[at]}`);
    if (this.answers.has(this.index) && at === right) button.className = "right";
    return element("li", {}, button);
  }

  // Take the answer, and go to what comes: the first answer to a step counts.
  answer(place) {
    if (!this.on || !(place in this.choices)) return;
    const right = next_of(this.events, this.index);
    const good = this.choices[place] === right;
    if (!this.answers.has(this.index)) this.answers.set(this.index, good);
    this.shown = right;
    const focused = this.list.contains(document.activeElement);
    this.verdict.textContent = good ? "Right, that came." : `No, it was this: ${this.sentences[right]}`;
    this.verdict.className = `verdict ${good ? "right" : "wrong"}`;
    this.go(right);
    // Whoever goes by the keyboard stays among the choices.
    if (focused) this.list.querySelector("button")?.focus();
  }
}
