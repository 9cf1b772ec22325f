// The player of one recorded connection: the step, the timeline, the rulers and the channel, and what one may ask.
import { Channel } from "./channel.js";
import { counted, element, grouped } from "./dom.js";
import { Fold } from "./fold.js";
import { Follow } from "./follow.js";
import { Predict } from "./predict.js";
import { Ruler } from "./ruler.js";
import { Source } from "./source.js";
import { spans } from "./spans.js";
import { Step } from "./step.js";
import { Timeline } from "./timeline.js";
import { Transport } from "./transport.js";

const IN = [
  ["waiting", "received"], ["held", "held back: may begin the terminator"], ["gone", "taken"], ["refused", "refused"],
];
const OUT = [["waiting", "given by a producer"], ["gone", "sent"], ["unknown", "not recorded"]];

// Show a recording in a place of the page.  A `linked` player is the page's own: it hears the keys wherever the focus
// is, and the address names its step (`#n=12`).
export function mount(place, data, { linked = false, n = null } = {}) {
  const player = new Player(place, data, linked);
  player.show(linked && n === null ? player.linked_index() : player.index_of(n ?? 0));
  return player;
}

class Player {
  constructor(place, { head, events, sentences, broken, about }, linked) {
    if (!events.length) throw new Error("this recording has no events");
    Object.assign(this, { place, events, linked });
    this.fold = new Fold(events, about);
    this.lanes = spans(events);
    const by_n = new Map(events.map((event, index) => [event.n, index]));
    const faults = broken.map((fault) => ({ ...fault, index: by_n.get(fault.n) ?? 0 }));
    const go = (index) => this.show(index);
    const choose = (direction, at) => this.follow({ direction, at });
    this.step = new Step(head, events, sentences, faults, go);
    this.timeline = new Timeline(events, faults, sentences, go);
    this.predict = new Predict(events, sentences, go);
    this.transport = new Transport(events, this);
    this.rulers = {
      in: new Ruler("in", "Bytes in", IN, this.lanes.incoming, events, choose),
      out: new Ruler("out", "Bytes out", OUT, this.lanes.outgoing, events, choose),
    };
    this.channel = new Channel(about, this.lanes);
    this.tracked = new Follow({ in: this.lanes.incoming, out: this.lanes.outgoing }, events, sentences, go);
    this.source = new Source(about.methods);
    this.#build();
    this.#listen();
  }

  #build() {
    const bench = element("div", { class: "bench" }, this.step.place, this.transport.place, this.timeline.place);
    const words = element("div", {}, this.step.recent, this.tracked.place);
    const more = element("div", { class: "more" }, words, this.source.place);
    const { place, rulers } = this;
    place.classList.add("player");
    place.replaceChildren(
      this.step.heading, bench, this.predict.place, rulers.in.place, this.channel.place, rulers.out.place, more,
    );
    this.sizes = new ResizeObserver(() => this.#fit());
    this.sizes.observe(place);
    this.#fit();
  }

  #fit() {
    if (this.place.clientWidth === this.width) return;
    this.width = this.place.clientWidth;
    const inner = (node) => {
      const { paddingLeft, paddingRight } = getComputedStyle(node);
      return Math.max(120, node.clientWidth - parseFloat(paddingLeft) - parseFloat(paddingRight));
    };
    this.timeline.fit(inner(this.timeline.place));
    for (const ruler of Object.values(this.rulers)) ruler.fit(inner(ruler.place));
    if (this.index !== undefined) this.show(this.index);
  }

  #listen() {
    const keys = this.linked ? document : this.place;
    this.gone = new AbortController();
    const { signal } = this.gone;
    keys.addEventListener("keydown", (event) => this.transport.key(event), { signal });
    if (this.linked) window.addEventListener("hashchange", () => this.show(this.linked_index()), { signal });
  }

  // Another player takes the place: this one hears nothing more.
  leave() {
    this.gone.abort();
    this.sizes.disconnect();
    this.transport.stop();
    clearTimeout(this.late);
  }

  // Whether the last step is shown, and nobody is to guess the next.
  is_at_end() {
    return this.index === this.events.length - 1 && !this.predict.on;
  }

  index_of(n) {
    const index = this.events.findIndex((event) => event.n >= n);
    return index < 0 ? this.events.length - 1 : index;
  }

  linked_index() {
    return this.index_of(Number(/^#n=(\d{1,9})$/.exec(location.hash)?.[1] ?? 0));
  }

  // Show what has come to be after the event at this index.
  show(index) {
    const [state, event] = [this.fold.at(index), this.events[index]];
    this.index = index;
    this.step.show(index, this.transport.playing, this.predict.on);
    this.timeline.show(index, this.predict.on);
    this.transport.show(index);
    this.predict.show(index);
    this.rulers.in.show(state, index, told_in(state));
    this.rulers.out.show(state, index, told_out(state));
    this.channel.show(state, event);
    this.source.show(event);
    this.tracked.show(index);
    if (this.linked) this.#link(event.n);
  }

  // The address follows when the steps pause: browsers stop a page that changes it all the time.
  #link(n) {
    clearTimeout(this.late);
    this.late = setTimeout(() => history.replaceState(null, "", `#n=${n}`), 250);
  }

  follow(chosen) {
    for (const [direction, ruler] of Object.entries(this.rulers)) {
      ruler.follow(chosen?.direction === direction ? chosen.at : null);
    }
    this.timeline.mark(this.tracked.choose(chosen));
    this.tracked.show(this.index);
  }

  turn_prediction() {
    this.predict.turn();
    this.show(this.index);
  }
}

function told_in({ received, taken, held }) {
  const kept = held ? `, ${held} held back` : "";
  return `what the client sends: ${counted(received)} received, ${grouped(taken)} taken${kept}`;
}

function told_out({ refilled, sent }) {
  return `what the server answers: ${counted(refilled)} given, ${grouped(sent)} sent`;
}
