// Follow a byte: every event that it went through, in order.
import { named } from "./bytes.js";
import { element, grouped } from "./dom.js";

const SAID = {
  recv: "received", scan: "searched for the terminator", collect: "taken", parts: "understood",
  refused: "refused", producer: "given", send: "sent",
};

const HINT = `Click a byte above, or put the focus on a ruler and use the arrow keys: its way through the server is
  told here.`;

// [{index, what}] for a byte; what its producer's push was is found by the producer's name.
function way_of(direction, at, lanes, events) {
  const said = (lane, kind) => (kind === "held" ? "held back" : SAID[lane.name]);
  const steps = lanes.lanes.flatMap((lane) =>
    lane.within(at, at + 1).map(({ index, kind }) => ({ index, what: said(lane, kind) })),
  );
  if (direction === "out") steps.push(...pushes(steps, events));
  return steps.sort((a, b) => a.index - b.index).filter(once);
}

function pushes(steps, events) {
  const given = steps.map(({ index }) => events[index]).find(({ name }) => name === "chat:refilled");
  if (!given) return [];
  const index = events.findIndex(({ name, data }) => name === "chat:pushed" && data.producer === given.data.producer);
  return index < 0 ? [] : [{ index, what: "queued" }];
}

// An event that holds a byte back has searched it, too: the last word counts.
const once = ({ index }, place, all) => all[place + 1]?.index !== index;

export class Follow {
  constructor(lanes, events, sentences, go) {
    [this.lanes, this.events, this.sentences, this.go] = [lanes, events, sentences, go];
    this.body = element("div", { "aria-live": "polite" });
    this.place = element("section", { class: "follow" }, element("h2", {}, "Follow a byte"), this.body);
    this.choose(null);
  }

  // The indices of its events.
  choose(chosen) {
    this.chosen = chosen;
    this.steps = chosen ? way_of(chosen.direction, chosen.at, this.lanes[chosen.direction], this.events) : [];
    if (chosen) this.#tell(chosen);
    else this.body.replaceChildren(element("p", { class: "empty" }, HINT));
    return this.steps.map(({ index }) => index);
  }

  #tell({ direction, at }) {
    const byte = this.lanes[direction].bytes(at, at + 1)[0];
    const what = byte ? element("code", {}, named(byte)) : "not recorded";
    this.links = this.steps.map(({ index, what: said }) => {
      const { n } = this.events[index];
      const onclick = (event) => this.#follow(event, index);
      const link = element("a", { href: `#n=${n}`, onclick }, `${said} at step ${n}`);
      return { index, item: element("li", {}, link, element("span", {}, this.sentences[index])) };
    });
    const list = element("ol", {}, this.links.map(({ item }) => item));
    const which = `Byte ${grouped(at)} ${direction === "in" ? "from" : "to"} the client: `;
    this.body.replaceChildren(element("p", {}, which, what), list);
  }

  #follow(event, index) {
    event.preventDefault();
    this.go(index);
  }

  show(index) {
    for (const link of this.chosen ? this.links : []) {
      link.item.className = link.index === index ? "now" : link.index > index ? "later" : "";
    }
  }
}
