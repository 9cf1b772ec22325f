// What a connection is like after its first n + 1 events: a fold over them, never an undo.
//
// A state is a small object that nobody changes: each event makes the next one, which shares with it what stays.  What
// the bytes are is not in it; it says how far each stream has come.

function beginning(about) {
  return {
    n: -1,
    t: 0,
    tick: 0,
    peer: "",
    // in
    received: 0,
    taken: 0,
    held: 0,
    ended: false,
    interest: { read: false, write: false },
    blocked: "",
    terminator: { kind: "none", value: null, remaining: null, found: null },
    // messages
    state: about.states[0].name,
    before: "",
    why: "",
    request: null,
    fields: 0,
    expected: null,
    refused: null,
    route: null,
    outcome: null,
    response: null,
    requests: 0,
    // out
    queue: [],
    refilled: 0,
    sent: 0,
    send: null,
    closing: false,
    closed: null,
  };
}

const changes = {
  "channel:accepted": (state, { peer }) => ({ peer }),
  "channel:received": (state, { start, length }) => ({ received: start + length, blocked: "" }),
  "channel:blocked": (state, { op }) => ({ blocked: op }),
  "channel:eof": () => ({ ended: true }),
  "channel:sent": (state, { start, offered, length }) => ({
    sent: start + length,
    send: { offered, length },
    blocked: "",
  }),
  "channel:interest": (state, { read, write }) => ({ interest: { read, write } }),
  "channel:closed": (state, data) => ({ closed: data, queue: [], interest: { read: false, write: false } }),

  "chat:terminator_set": (state, { kind, value }) => ({
    terminator: { kind, value, remaining: kind === "length" ? value : null, found: null },
    held: 0,
  }),
  "chat:scanned": (state, { held, at }) => ({ held, terminator: { ...state.terminator, found: at } }),
  "chat:collected": (state, { start, length, remaining }) => ({
    taken: start + length,
    terminator: { ...state.terminator, remaining: remaining ?? state.terminator.remaining },
  }),
  "chat:terminator_found": (state, { start, length }) => ({
    taken: start + length,
    terminator: { ...state.terminator, found: start },
    held: 0,
  }),
  "chat:discarded": (state, { start, length }) => ({ taken: start + length, held: 0 }),

  "chat:pushed": (state, { producer, size }) => ({ queue: [...state.queue, { name: producer, size, gave: 0 }] }),
  "chat:refilled": (state, data) => ({ refilled: data.start + data.length, queue: asked(state.queue, data) }),
  "chat:close_when_done": () => ({ closing: true }),

  "http:state_changed": (state, { old, new: state_now, why }) => ({
    state: state_now,
    before: old,
    why,
    ...(state_now === "read header" ? between : {}),
  }),
  "http:request_line": (state, { method, target, version }) => ({
    ...between,
    request: { method, target, version },
    requests: state.requests + 1,
  }),
  "http:field_line": (state) => ({ fields: state.fields + 1 }),
  "http:body_expected": (state, { length }) => ({ expected: length }),
  "http:refused": (state, data) => ({ refused: data }),
  "http:responded": (state, { status, fields, body, size }) => ({
    response: { status, fields: fields.length, body, size },
  }),

  "app:routed": (state, data) => ({ route: data, outcome: null }),
  "app:returned": (state, { ms }) => ({ outcome: { kind: "returned", ms } }),
  "app:postponed": () => ({ outcome: { kind: "postponed" } }),
  "app:raised": (state, { error, status }) => ({ outcome: { kind: "raised", error, status } }),
};

// What one message leaves, the next begins without.
const between = {
  request: null, fields: 0, expected: null, refused: null, route: null, outcome: null, response: null,
};

// The queue after a producer was asked: one that is exhausted leaves it, with whatever stood before it.
function asked(queue, { producer, outcome, length }) {
  const at = queue.findIndex((item) => item.name === producer);
  if (at < 0) return queue;
  if (outcome === "exhausted") return queue.slice(at + 1);
  const item = { ...queue[at], gave: queue[at].gave + length, stalled: outcome === "stalled" };
  return [...queue.slice(0, at), item, ...queue.slice(at + 1)];
}

function after(state, event) {
  const change = changes[event.name];
  return { ...state, ...(change ? change(state, event.data) : {}), n: event.n, t: event.t, tick: event.tick };
}

// So many events at most are folded for any step.
const STRIDE = 64;

export class Fold {
  #events;
  #points;
  #last;

  constructor(events, about) {
    this.#events = events;
    let state = beginning(about);
    this.#last = { index: -1, state };
    this.#points = [state];
    events.forEach((event, index) => {
      state = after(state, event);
      if ((index + 1) % STRIDE === 0) this.#points.push(state);
    });
  }

  // The state after the event at this index; -1 for none.
  at(index) {
    let from = index - (index % STRIDE);
    let state = this.#points[from / STRIDE];
    const last = this.#last;
    if (last.index <= index && last.index + 1 >= from) [from, state] = [last.index + 1, last.state];
    for (; from <= index; from++) state = after(state, this.#events[from]);
    this.#last = { index, state };
    return state;
  }
}
