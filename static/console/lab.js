// The lab's page.
import { element } from "./dom.js";
import { meant, written } from "./escapes.js";
import { Scissors } from "./scissors.js";
import { squares, verdict } from "./verdict.js";

const ASKED_EVERY = 100;

const form = document.querySelector("form.lab");
const { preset, bytes, slow, read, pause, after } = form.elements;
const fault = form.querySelector(".fault");
const progress = form.querySelector(".progress");
const button = form.querySelector("button[type=submit]");
const place = document.querySelector("section.outcome");
const token = document.querySelector('meta[name="console-token"]').content;
const scissors = new Scissors(form.querySelector(".scissors"), () => { form.elements.mode.value = "cuts"; });
const wait = (ms) => new Promise((done) => { setTimeout(done, ms); });

// ---- the request

async function presets() {
  const groups = await (await fetch("/api/presets")).json();
  preset.append(...groups.map((group) => element("optgroup", { label: group.rule ? `${group.title} (${group.rule})` : group.title },
    group.cases.map((one) => element("option", { value: one.bytes, "data-status": one.status }, one.status ? `${one.name} → ${one.status}` : one.name)))));
  begin(groups[0].cases[0].bytes);
  form.hidden = false;
}

function begin(request) {
  bytes.value = written(request);
  scissors.set(request.length > 20 ? [5, Math.floor(request.length / 2)] : [1]);
  changed();
}

// The bytes that are meant, null where they are not written right.
function changed() {
  try {
    const request = meant(bytes.value);
    fault.hidden = true;
    scissors.show(request);
    return request;
  } catch (error) {
    fault.textContent = error.message;
    fault.hidden = false;
    return null;
  }
}

preset.addEventListener("change", () => begin(preset.value));
bytes.addEventListener("input", changed);

// ---- the experiment

async function send(event) {
  event.preventDefault();
  const request = changed();
  if (request === null) return bytes.focus();
  button.disabled = true;
  try {
    await show(await start(request), request);
  } catch (error) {
    progress.textContent = error.message;
  }
  button.disabled = false;
}

async function start(request) {
  const asked = {
    bytes: request, mode: form.elements.mode.value, cuts: [...scissors.cuts].sort((one, other) => one - other), seed: Math.floor(Math.random() * 2 ** 32),
    slow: slow.checked ? { read: Number(read.value), pause_ms: Number(pause.value) } : null, ends: form.elements.ends.value, after: Number(after.value),
  };
  const answer = await fetch("/api/lab", { method: "POST", headers: { "X-Console-Token": token, "Content-Type": "application/json", Accept: "text/plain" }, body: JSON.stringify(asked) });
  if (!answer.ok) throw new Error(`Not sent: ${(await answer.text()).trim()}`);
  return (await answer.json()).run;
}

async function show(run, request) {
  for (;;) {
    const result = await (await fetch(`/api/lab/${run}`)).json();
    if (result.done) {
      progress.textContent = "Done.";
      place.replaceChildren(...verdict(result, request).filter(Boolean));
      place.hidden = false;
      return place.scrollIntoView({ block: "nearest" });
    }
    progress.replaceChildren(squares(result));
    await wait(ASKED_EVERY);
  }
}

form.addEventListener("submit", send);
presets();
