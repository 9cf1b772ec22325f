// Where each event's bytes stand: spans, `start` and `length` in one direction's stream, in the lanes of the rulers.
//
// A span belongs to the event at `index`, so what is to be seen after a step are the spans up to its index.
import { grouped } from "./dom.js";

class Lane {
  constructor(name, title) {
    this.name = name;
    this.title = title;
    this.spans = [];
    this.ends = [];
  }

  // Ready to be asked: by their start, with the greatest end so far, so that a trace that breaks the laws shows too.
  sorted() {
    this.spans.sort((a, b) => a.start - b.start || a.index - b.index);
    let end = 0;
    this.ends = this.spans.map((span) => (end = Math.max(end, span.start + span.length)));
    return this;
  }

  // The spans with a byte in from…to, or that stand there without one.
  within(from, to) {
    const found = [];
    for (let at = this.#first(from); at < this.spans.length && this.spans[at].start < to; at++) {
      const span = this.spans[at];
      if (span.start + Math.max(span.length, 1) > from) found.push(span);
    }
    return found;
  }

  #first(from) {
    let [low, high] = [0, this.ends.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.ends[middle] + 1 > from) high = middle;
      else low = middle + 1;
    }
    return low;
  }
}

// One direction: its lanes, and its bytes as far as they were recorded.
class Direction {
  constructor(...lanes) {
    this.lanes = lanes.map(([name, title]) => new Lane(name, title));
    this.pieces = this.lanes.find((lane) => ["recv", "producer"].includes(lane.name));
    this.total = 0;
    this.indices = [];
  }

  // The last event up to this index that had to do with these bytes; undefined for none.
  last_before(index) {
    let [low, high] = [0, this.indices.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.indices[middle] > index) high = middle;
      else low = middle + 1;
    }
    return this.indices[low - 1];
  }

  add(name, index, { start, length }, kind, label, data) {
    this.lanes.find((lane) => lane.name === name).spans.push({ index, start, length, kind, label, data });
    this.indices.push(index);
    if (data !== undefined) this.total = Math.max(this.total, start + length);
  }

  // The bytes from…to: null for one that was not recorded, undefined for one that never came.
  bytes(from, to) {
    const found = new Array(to - from).fill(undefined);
    for (const { start, length, data } of this.pieces.within(from, to)) {
      // Counted from the window's edge: beyond 2^53, where a stranger's file may be, a number and the next are one.
      const past = Math.min(start + length, to) - from;
      for (let at = Math.max(start - from, 0); at < past; at++) found[at] = data[from + at - start] ?? null;
    }
    return found;
  }
}

const placing = {
  "channel:received": ({ incoming }, index, data) =>
    incoming.add("recv", index, data, "in", `recv ${grouped(data.length)}`, data.data),
  "chat:scanned": ({ incoming }, index, data) => {
    incoming.add("scan", index, data, data.result, data.result === "found" ? "scan: found" : "scan");
    if (data.held) {
      const start = data.start + data.length - data.held;
      incoming.add("scan", index, { start, length: data.held }, "held", "held back");
    }
  },
  "chat:collected": ({ incoming, counting }, index, data) => {
    incoming.add("collect", index, data, "collected", `collect ${grouped(data.length)}`);
    if (counting) incoming.add("parts", index, data, "content", "content");
  },
  "chat:terminator_found": ({ incoming }, index, data) => {
    if (data.length) incoming.add("collect", index, data, "terminator", "end");
  },
  "chat:discarded": ({ incoming }, index, data) => incoming.add("collect", index, data, "discarded", "discard"),
  "chat:terminator_set": (all, index, { kind }) => {
    all.counting = kind === "length";
  },
  "http:request_line": ({ incoming }, index, data) => incoming.add("parts", index, data, "line", "request-line"),
  "http:field_line": ({ incoming }, index, data) => incoming.add("parts", index, data, "field", data.name),
  "http:refused": ({ incoming }, index, data) =>
    incoming.add("refused", index, data, "refused", `${data.status} ${data.rule}`),
  "chat:refilled": ({ outgoing }, index, data) =>
    data.length && outgoing.add("producer", index, data, "out", data.producer, data.data),
  "channel:sent": ({ outgoing }, index, data) =>
    outgoing.add("send", index, data, "sent", sent_of(data)),
};

const sent_of = ({ length, offered }) =>
  `send ${grouped(length)}${length < offered ? ` of ${grouped(offered)} offered` : ""}`;

// {incoming, outgoing} of a whole trace.
export function spans(events) {
  const all = {
    incoming: new Direction(
      ["parts", "what it means: request-line, field lines, content"],
      ["collect", "what the channel took, and where the terminator stood"],
      ["scan", "what was searched for the terminator"],
      ["recv", "the pieces as the network gave them"],
      ["refused", "the bytes at fault"],
    ),
    outgoing: new Direction(
      ["producer", "who gave these bytes"],
      ["send", "what the kernel took at once"],
    ),
    counting: false,
  };
  events.forEach((event, index) => placing[event.name]?.(all, index, event.data));
  for (const direction of [all.incoming, all.outgoing]) direction.lanes.forEach((lane) => lane.sorted());
  return all;
}
