// The step itself, in words: one plain sentence, which event it is, the laws that it breaks, and what was just before.
import { element } from "./dom.js";

const BEFORE = 4;
const AFTER = 2;

export class Step {
  constructor(head, events, sentences, faults, go) {
    Object.assign(this, { events, sentences, faults, go });
    this.heading = heading(head, events, faults, go);
    this.sentence = element("p", { class: "sentence" });
    this.which = element("p", { class: "which" });
    this.law = element("ul", { class: "law" });
    this.place = element("div", { class: "step" }, this.which, this.sentence, this.law);
    this.list = element("ol", {});
    this.recent = element("section", { class: "recent" }, element("h2", {}, "Around this step"), this.list);
  }

  // A `hidden` future is not told, and nobody is read a film aloud.
  show(index, playing, hidden) {
    const { events, sentences } = this;
    const { n, t, tick, name } = events[index];
    this.sentence.setAttribute("aria-live", playing ? "off" : "polite");
    this.sentence.className = `sentence ${name === "http:refused" ? "refused" : ""}`;
    if (this.sentence.textContent !== sentences[index]) this.sentence.textContent = sentences[index];
    const ms = t.toLocaleString("en", { maximumFractionDigits: 1 });
    this.which.replaceChildren(
      element("b", {}, `Step ${n}`), ` of ${events.at(-1).n} · `, element("code", {}, name),
      ` · ${ms} ms · turn ${tick}`, element("span", { class: "wide" }, " of the loop"),
    );
    const broken = this.faults.filter((fault) => fault.index === index);
    const told = ({ law, text }) => element("li", {}, `Law ${law} is broken here: ${text}.`);
    this.law.replaceChildren(...broken.map(told));
    this.#around(index, hidden ? 0 : AFTER);
  }

  #around(index, after) {
    const items = [];
    for (let at = Math.max(0, index - BEFORE); at <= Math.min(index + after, this.events.length - 1); at++) {
      const { n } = this.events[at];
      const link = element("a", { href: `#n=${n}`, onclick: (event) => this.#jump(event, at) }, String(n));
      const kind = at === index ? "now" : at > index ? "later" : "";
      const said = element("span", {}, this.sentences[at]);
      items.push(element("li", { class: kind, "aria-current": at === index && "step" }, link, said));
    }
    this.list.replaceChildren(...items);
  }

  #jump(event, at) {
    event.preventDefault();
    this.go(at);
  }
}

const WHAT = `Every step of one connection: bytes come in at the top, go through the channel, and leave at the
  bottom.`;

function heading(head, events, faults, go) {
  const asked = events.filter(({ name }) => name === "http:request_line");
  const answers = events.filter(({ name }) => name === "http:responded");
  const first = asked[0]?.data;
  const more = asked.length > 1 ? ` and ${asked.length - 1} more` : "";
  const status = answers[0] ? ` → ${answers[0].data.status}` : "";
  const what = first ? `${first.method} ${first.target}${status}${more}` : `Connection ${head.connection}${status}`;
  const who = `Connection ${head.connection}${head.peer ? ` from ${head.peer}` : ""}, ${head.began.replace("T", " ")}`;
  return element(
    "header", {},
    element("h1", {}, head.title || what),
    element("p", {}, `${who}. ${WHAT}`),
    faults.length > 0 && warning(faults, go),
    element("details", {}, element("summary", {}, "How to read this page"), element("dl", {}, HELP.map(explained))),
  );
}

const HELP = [
  ["Step", `Each step is a method of the server's channel that ran. Go on with the arrow keys, or drag the timeline;
    Home and End lead to its ends, the space bar plays, s goes to the next change of the state.`],
  ["Bytes", `A cell is a byte. Above it stands what was done with it: recv gave a piece, scan searched it for the
    terminator, collect took it, and parts are what it came to mean. Where a piece ends with what may begin the
    terminator, that much is held back until more comes.`],
  ["Channel", `What ends the part that is being read, in which state the exchange is and which may follow, who answers,
    and what waits to be sent.`],
  ["Follow", `Click a byte, or choose one with the arrow keys on a ruler: each step that it went through is named, and
    marked on the timeline. Escape ends it.`],
  ["Predict", "Press p to be asked what comes next, before you see it."],
];

const explained = ([term, text]) => [element("dt", {}, term), element("dd", {}, text)];

function warning(faults, go) {
  const links = faults.slice(0, 8).map(({ law, n, index }) =>
    element("button", { type: "button", onclick: () => go(index) }, `law ${law} at step ${n}`),
  );
  const rest = faults.length - links.length;
  const more = rest > 0 && ` and ${rest} more`;
  return element("p", { class: "broken", role: "alert" }, "This recording breaks ", links, more);
}
