// The channel from left to right: what waits to be read, what ends it, the state, the site, and what waits to be sent.
import { visible } from "./bytes.js";
import { counted, element, grouped } from "./dom.js";
import { States } from "./states.js";

// Which box an event is of.
const PLACES = {
  "channel:accepted": "incoming", "channel:received": "incoming", "channel:eof": "incoming",
  "chat:scanned": "terminator", "chat:collected": "terminator", "chat:terminator_found": "terminator",
  "chat:terminator_set": "terminator", "chat:discarded": "incoming",
  "http:state_changed": "state", "http:request_line": "state", "http:field_line": "state",
  "http:body_expected": "state", "http:refused": "state", "channel:timed_out": "state", "channel:closed": "state",
  "app:routed": "routes", "app:returned": "handler", "app:raised": "handler", "app:postponed": "handler",
  "http:responded": "handler",
  "chat:pushed": "queue", "chat:refilled": "queue", "chat:close_when_done": "queue",
  "channel:sent": "outgoing",
};
// Of a long list so much is shown.
const MOST = 5;
// So many of the bytes that wait, the last ones.
const SAMPLE = 32;

export class Channel {
  constructor(about, lanes) {
    this.lanes = lanes;
    this.states = new States(about);
    this.boxes = {
      incoming: new Box("Incoming", "waits to be taken"),
      terminator: new Box("Terminator", "what ends this part"),
      state: new Box("State", "where the exchange is"),
      routes: new Box("Routes tried", "who is to answer?"),
      handler: new Box("Handler", "makes the response"),
      queue: new Box("Producer queue", "first in, first out"),
      outgoing: new Box("Outgoing", "waits to be sent"),
    };
    this.boxes.state.body.append(this.states.svg, (this.why = element("p", { class: "why" })));
    const list = Object.values(this.boxes).map((box) => box.place);
    this.place = element("section", { class: "channel" }, element("h2", {}, "The channel"), element("ol", {}, list));
  }

  show(state, event) {
    const at = event && (PLACES[event.name] ?? (event.name === "channel:blocked" && blocked(event)));
    for (const [name, box] of Object.entries(this.boxes)) box.place.classList.toggle("now", name === at);
    this.boxes.incoming.fill(incoming(state, this.lanes.incoming));
    this.boxes.terminator.fill(terminator(state));
    this.states.show(state);
    this.why.textContent = state.refused ? `refused: ${state.refused.status}` : state.why;
    this.boxes.routes.fill(routes(state));
    this.boxes.handler.fill(handler(state));
    this.boxes.queue.fill(queue(state));
    this.boxes.outgoing.fill(outgoing(state));
  }
}

class Box {
  constructor(title, hint) {
    this.body = element("div", {});
    this.place = element("li", {}, element("h3", {}, title), element("p", { class: "hint" }, hint), this.body);
  }

  fill(nodes) {
    this.body.replaceChildren(...nodes.filter(Boolean));
  }
}

const blocked = ({ data }) => (data.op === "send" ? "outgoing" : "incoming");
const line = (text, kind = "") => element("p", { class: kind }, text);
const big = (number, text) => element("p", { class: "big" }, element("b", {}, grouped(number)), ` ${text}`);
const empty = (text) => line(text, "empty");

function bar(done, whole, kind) {
  const width = whole ? Math.min(100, (100 * done) / whole) : 100;
  const fill = element("span", {});
  fill.style.width = `${width}%`;
  return element("div", { class: `gauge ${kind}` }, fill);
}

function incoming({ received, taken, held, ended, interest, blocked: what, closed }, lanes) {
  const waiting = Math.max(0, received - taken);
  const sample = lanes.bytes(received - Math.min(waiting, SAMPLE), received).map((byte) => byte ?? ".").join("");
  const free = Math.max(0, sample.length - held);
  return [
    big(waiting, waiting === 1 ? "byte waits" : "bytes wait"),
    waiting > 0 &&
      element(
        "p", { class: "sample" }, waiting > SAMPLE && "…", visible(sample.slice(0, free)),
        element("mark", {}, visible(sample.slice(free))),
      ),
    held > 0 && line(`${counted(held)} held back`, "held"),
    line(`${counted(received)} received`),
    line(closed ? "closed" : ended ? "the client has finished" : interest.read ? "listening" : "not listening"),
    what === "recv" && line("nothing more for now"),
  ];
}

function terminator({ terminator: { kind, value, remaining, found }, held }) {
  if (kind === "none") return [empty("none: nothing is waited for")];
  if (kind === "length") {
    return [
      big(remaining, `of ${counted(value)} to come`),
      bar(value - remaining, value, "in"),
    ];
  }
  const here = found === null ? held : value.length;
  const seen = [...value].map((byte, at) => element("kbd", { class: at < here ? "held" : "" }, visible(byte)));
  const partly = held ? `${held} of ${value.length} may be here` : "not seen yet";
  return [element("p", { class: "keys" }, seen), line(found === null ? partly : `found at byte ${grouped(found)}`)];
}

function routes({ route }) {
  if (!route) return [empty("nobody is asked yet")];
  const rest = route.tried.length - MOST;
  const said = { matched: "fits", path: "other path", method: "other method" };
  const tried = route.tried.slice(-MOST).map(({ pattern, outcome }) =>
    element("li", { class: outcome }, element("code", {}, pattern), ` ${said[outcome]}`),
  );
  const params = Object.entries(route.params).map(([name, value]) => line(`${name} = ${value}`, "code"));
  return [
    line(`${route.method} ${route.path}`, "code"),
    rest > 0 && line(`${rest} others before these`),
    element("ul", {}, tried),
    !tried.length && line("no routes: one site answers all"),
    ...params,
  ];
}

function handler({ route, outcome, response, refused }) {
  if (refused && !route) return [line("not asked: the request is refused", "refused"), ...answered(response)];
  if (!route) return [...(response ? answered(response) : [empty("not called yet")])];
  return [line(route.handler.split("<locals>.").pop() || "nobody", "code"), line(came(outcome), outcome?.kind), ...answered(response)];
}

function came(outcome) {
  if (!outcome) return "is being asked";
  if (outcome.kind === "returned") return `returned after ${grouped(outcome.ms)} ms`;
  return outcome.kind === "raised" ? `raised ${outcome.error}` : "waits for work beside the loop";
}

function answered(response) {
  if (!response) return [];
  const { status, fields, body, size } = response;
  const content = body === "none" ? "no content" : size === null ? "until the end" : counted(size);
  return [big(status, ""), line(`${counted(fields, "field line")}, ${content}${body === "file" ? " of a file" : ""}`)];
}

function queue({ queue: items, closing, closed }) {
  const rest = items.length - MOST;
  const list = items.slice(0, MOST).map(({ name, size, gave, stalled }) =>
    element(
      "li", {}, element("code", {}, name),
      ` gave ${grouped(gave)}${size === null ? "" : ` of ${grouped(size)}`}`,
      stalled && " (nothing yet)",
      size !== null && bar(gave, size, "out"),
    ),
  );
  return [
    items.length ? element("ul", {}, list) : empty("empty"),
    rest > 0 && line(`and ${rest} behind`),
    closing && !closed && line("closes when it is empty"),
  ];
}

function outgoing({ refilled, sent, send, interest, blocked: what, closed }) {
  const waiting = Math.max(0, refilled - sent);
  return [
    big(waiting, waiting === 1 ? "byte waits" : "bytes wait"),
    line(`${counted(sent)} sent`),
    send && line(`last: ${grouped(send.length)} of ${grouped(send.offered)} offered`),
    send && bar(send.length, send.offered, "out"),
    what === "send" && line("the kernel is full", "held"),
    line(closed ? "closed" : interest.write ? "waits for room to send" : "nothing to send"),
  ];
}
