// The page that plays a file which somebody has: the server reads it, by the rules for every file, and keeps nothing.
import { mount } from "./player.js";

const form = document.querySelector("form.open");
const fault = form.querySelector(".fault");
const progress = form.querySelector(".progress");
const input = form.querySelector("input[type=file]");
const place = document.querySelector("section.player");
const token = document.querySelector('meta[name="console-token"]').content;
let asked = 0;

async function show(file) {
  const number = ++asked;
  fault.hidden = true;
  progress.textContent = `Reading ${file.name} …`;
  const why = await read(file).then((data) => number === asked && play(data), (error) => error.message);
  // Meanwhile another file may have been chosen.
  if (number !== asked) return;
  progress.textContent = "";
  fault.textContent = why ? `${file.name}: ${why}` : "";
  fault.hidden = !why;
}

async function read(file) {
  const headers = { "X-Console-Token": token, "Content-Type": "application/x-ndjson", Accept: "text/plain" };
  const answer = await fetch("/api/open", { method: "POST", headers, body: file });
  // The first line is the status, for programs.
  if (!answer.ok) throw new Error((await answer.text()).split("\n").slice(1).join(" "));
  return answer.json();
}

// Returns what is wrong with it; where that is so, what was played before stays.
function play(data) {
  if (!data.events.length) return "This recording has no events.";
  window.player?.leave();
  place.hidden = false;
  window.player = mount(place, data, { linked: true, n: 0 });
  return "";
}

input.addEventListener("change", () => input.files.length && show(input.files[0]));
document.addEventListener("dragover", (event) => {
  if (!event.dataTransfer.types.includes("Files")) return;
  event.preventDefault();
  document.body.classList.add("dropping");
});
document.addEventListener("dragleave", (event) => event.relatedTarget || document.body.classList.remove("dropping"));
document.addEventListener("drop", (event) => {
  event.preventDefault();
  document.body.classList.remove("dropping");
  if (!event.dataTransfer.files.length) return;
  // The button says whose recording is shown, whichever way it came.
  input.files = event.dataTransfer.files;
  show(input.files[0]);
});
form.hidden = false;
