"""Makes the tour's film, a night at a harbour, and its still: `python -m tests.tour_film`.

A canvas in Chromium draws each frame and its encoder packs it (WebCodecs), so it is another film with another Chromium,
and the same to look at.
"""

from __future__ import annotations

import base64
from typing import Any

from httpd import Request, Response, html

from .chromium import chromium
from .exchange import serving
from .film import Frame, webm
from .tools import TOP

__all__ = ["FOLDER"]

FOLDER = TOP / "static" / "tour" / "site"
WIDTH, HEIGHT, RATE, SECONDS = 640, 360, 15, 30
# A key frame as often as one may want to seek to it.
KEY_SECONDS = 3
BITS = 44_000
# When the still is taken: the light has come on, and the boat is in sight.
STILL = 9.4

_DRAW = """
const mix = (a, b, t) => a.map((v, i) => v + (b[i] - v) * t);
const rgb = (c) => `rgb(${c.map(Math.round).join()})`;
const dusk = [[23, 50, 74], [196, 120, 92]], night = [[8, 16, 32], [24, 44, 66]];
const dawn = [[92, 138, 168], [244, 200, 150]];
const seaOf = { dusk: [38, 74, 96], night: [10, 24, 40], dawn: [96, 142, 160] };
function draw(context, t, width, height) {
  const part = t / LENGTH, toNight = Math.min(1, part / 0.3), toDawn = Math.max(0, (part - 0.7) / 0.3);
  const sky = [0, 1].map((i) => mix(mix(dusk[i], night[i], toNight), dawn[i], toDawn));
  const sea = mix(mix(seaOf.dusk, seaOf.night, toNight), seaOf.dawn, toDawn), dark = toNight * (1 - toDawn);
  const fill = (style, path) => { context.fillStyle = style; context.beginPath(); path(); context.fill(); };
  const line = ([x, y], i) => (i ? context.lineTo(x, y) : context.moveTo(x, y));
  const poly = (style, ...points) => fill(style, () => points.forEach(line));
  const above = context.createLinearGradient(0, 0, 0, 240);
  above.addColorStop(0, rgb(sky[0])); above.addColorStop(1, rgb(sky[1]));
  context.fillStyle = above; context.fillRect(0, 0, width, 240);
  for (let i = 0; i < 40; i += 1) {
    const x = (i * 167) % width, y = (i * 71) % 170;
    fill(`rgba(255,255,255,${dark * 0.8})`, () => context.arc(x, y, i % 3 ? 0.8 : 1.3, 0, 7));
  }
  fill(`rgba(255,236,190,${toDawn})`, () => context.arc(150, 262 - 70 * toDawn, 24, 0, 7));
  context.fillStyle = rgb(sea); context.fillRect(0, 240, width, 120);
  // Its head turns once in eight seconds: seen from here the beam is long to the sides, and short to and fro.
  const turn = Math.cos(t * Math.PI / 4), reach = turn * 560;
  if (dark > 0.05) {
    const beam = context.createLinearGradient(470, 0, 470 + reach, 0);
    beam.addColorStop(0, `rgba(255,233,176,${0.75 * dark})`); beam.addColorStop(1, "rgba(255,233,176,0)");
    const wide = Math.abs(turn);
    poly(beam, [470, 92], [470 + reach, 62 - 10 * wide], [470 + reach, 132 + 30 * wide], [470, 100]);
  }
  for (let i = 0; i < 9; i += 1) {
    const x = (i * 83 + t * 6) % (width + 80) - 40, y = 252 + (i * 37) % 96;
    context.fillStyle = `rgba(255,240,215,${0.10 + 0.12 * toDawn})`; context.fillRect(x, y, 26 + (i * 13) % 30, 2);
  }
  poly("#1d2a2f", [372, 262], [410, 232], [470, 222], [560, 228], [640, 244], [640, 360], [352, 360], [358, 300]);
  poly("#efe8da", [452, 226], [459, 108], [481, 108], [488, 226]);
  poly("#a63d27", [456.6, 150], [458.2, 124], [481.8, 124], [483.4, 150]);
  poly("#a63d27", [453.3, 204], [455, 176], [485, 176], [486.7, 204]);
  context.fillStyle = "#22303a"; context.fillRect(449, 103, 42, 6);
  context.fillStyle = rgb(mix([120, 130, 132], [255, 233, 176], dark)); context.fillRect(459, 86, 22, 17);
  poly("#a63d27", [455, 86], [470, 70], [485, 86]);
  const boat = -60 + t * 15, bob = Math.sin(t * 1.6) * 1.5;
  poly("#22303a", [boat, 284 + bob], [boat + 56, 284 + bob], [boat + 47, 296 + bob], [boat + 9, 296 + bob]);
  poly("#efe8da", [boat + 29, 240 + bob], [boat + 52, 278 + bob], [boat + 29, 278 + bob]);
  poly("#d9cfbb", [boat + 25, 246 + bob], [boat + 8, 278 + bob], [boat + 25, 278 + bob]);
  if (dark > 0.3) fill("#ffe9b0", () => context.arc(boat + 50, 282 + bob, 1.8, 0, 7));
}
"""

_MAKE = """
async ({ width, height, rate, seconds, key, bits, still }) => {
  const canvas = new OffscreenCanvas(width, height), context = canvas.getContext("2d"), frames = [];
  const packed = (bytes) => btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(""));
  const output = (chunk) => {
    const bytes = new Uint8Array(chunk.byteLength);
    chunk.copyTo(bytes);
    frames.push([Math.round(chunk.timestamp / 1000), chunk.type === "key", packed(bytes)]);
  };
  const encoder = new VideoEncoder({ output, error: (error) => { throw error; } });
  encoder.configure({ codec: "vp09.00.10.08", width, height, bitrate: bits, framerate: rate, latencyMode: "quality" });
  for (let number = 0; number < rate * seconds; number += 1) {
    draw(context, number / rate, width, height);
    const frame = new VideoFrame(canvas, { timestamp: Math.round(1e6 * number / rate), duration: 1e6 / rate });
    encoder.encode(frame, { keyFrame: number % (rate * key) === 0 });
    frame.close();
    while (encoder.encodeQueueSize > 20) await new Promise((done) => setTimeout(done, 5));
  }
  await encoder.flush();
  draw(context, still, width, height);
  const picture = await canvas.convertToBlob({ type: "image/png" });
  return { frames, picture: packed(new Uint8Array(await picture.arrayBuffer())) };
}
"""


def _made() -> Any:
    """The frames and the still, from Chromium."""

    def blank(request: Request) -> Response:
        return html(f"<!doctype html><title>film</title><script>const LENGTH = {SECONDS};{_DRAW}</script>")

    options = {"width": WIDTH, "height": HEIGHT, "rate": RATE, "seconds": SECONDS, "key": KEY_SECONDS, "bits": BITS}
    with serving(blank) as server, chromium() as browser:
        page = browser.new_page()
        page.goto(server.url)
        return page.evaluate(_MAKE, {**options, "still": STILL})


if __name__ == "__main__":
    made = _made()
    frames = [Frame(time, is_key, base64.b64decode(data)) for time, is_key, data in made["frames"]]
    (FOLDER / "night.webm").write_bytes(webm(frames, 1000 * SECONDS, WIDTH, HEIGHT, "V_VP9"))
    (FOLDER / "night.png").write_bytes(base64.b64decode(made["picture"]))
    for name in ("night.webm", "night.png"):
        print(name, (FOLDER / name).stat().st_size, "bytes")
