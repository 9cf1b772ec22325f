// Where a player's data comes from: a block in the page itself, or the server that the page names.

export async function load(place) {
  const { trace, source } = place.dataset;
  if (trace) return JSON.parse(document.getElementById(trace).textContent);
  const answer = await fetch(source, { headers: { Accept: "application/json" } });
  if (!answer.ok) throw new Error(`${source} was answered with ${answer.status} ${answer.statusText}`);
  return answer.json();
}
