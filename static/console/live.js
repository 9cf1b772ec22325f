// What the feed has told, as lanes: for each connection its marks, and for all of them the turns of the loop.
const MOST_LANES = 40;
const MOST_MARKS = 3000;

// What a mark means, by its event; what is not here has none.
const MEANINGS = {
  "channel:received": "in", "channel:sent": "out", "channel:blocked": "held", "channel:eof": "held",
  "http:state_changed": "state", "http:refused": "refused", "channel:error": "refused", "channel:timed_out": "refused",
  "app:raised": "refused",
};

export class Lanes {
  constructor() {
    this.lanes = new Map();
    this.marks = 0;
  }

  take({ connection, head, event }) {
    if (head) this.lanes.set(connection, { head, began: Date.parse(head.began), marks: [], first: null, last: null, closed: false, told: "" });
    const lane = this.lanes.get(connection);
    if (event && lane) this.add(lane, event);
    while (this.lanes.size > MOST_LANES || (this.marks > MOST_MARKS && this.lanes.size > 1)) this.drop();
  }

  add(lane, event) {
    const { n, t, tick, name, data } = event;
    const point = { n, tick, at: lane.began + t };
    lane.first ??= point;
    lane.last = point;
    if (name === "channel:closed") lane.closed = true;
    if (name === "http:request_line" && !lane.told) lane.told = `${data.method} ${data.target}`;
    if (name === "http:refused" && !lane.told) lane.told = `refused, ${data.status}`;
    const meaning = name === "chat:scanned" && data.held ? "held" : MEANINGS[name];
    if (!meaning) return;
    lane.marks.push({ ...point, meaning, name, text: described(name, data) });
    this.marks += 1;
  }

  drop() {
    const [oldest, lane] = this.lanes.entries().next().value;
    this.marks -= lane.marks.length;
    this.lanes.delete(oldest);
  }

  // Each turn with its time and the most marks that a lane has in it, in their order.
  turns() {
    const turns = new Map();
    for (const lane of this.lanes.values()) {
      const own = new Map();
      for (const mark of [lane.first, ...lane.marks, lane.last]) {
        if (!mark) continue;
        const count = (own.get(mark.tick) ?? 0) + (mark.meaning ? 1 : 0);
        own.set(mark.tick, count);
        const turn = turns.get(mark.tick) ?? { tick: mark.tick, at: mark.at, most: 1, lanes: new Set() };
        turn.at = Math.min(turn.at, mark.at);
        turn.most = Math.max(turn.most, count);
        turn.lanes.add(lane);
        turns.set(mark.tick, turn);
      }
    }
    return [...turns.values()].sort((one, other) => one.tick - other.tick);
  }
}

function described(name, data) {
  if (name === "channel:received") return `${data.length} bytes received`;
  if (name === "channel:sent") return `${data.length} of ${data.offered} bytes sent`;
  if (name === "chat:scanned") return `${data.held} bytes held back`;
  if (name === "http:state_changed") return `${data.old} → ${data.new}: ${data.why}`;
  if (name === "http:refused") return `${data.status}: ${data.reason} ${data.rule}`;
  if (name === "channel:blocked") return data.op === "recv" ? "nothing to receive now" : "the kernel takes no more now";
  if (name === "channel:eof") return "the peer has finished";
  return name;
}
