// How a byte looks.  A byte is a character U+0000 to U+00FF.
const NAMED = { "\r": "\\r", "\n": "\\n", "\t": "\\t", "\0": "\\0", " ": "␣" };

// What stands in a byte's cell, and whether it stands for itself.
export function glyph(byte) {
  if (NAMED[byte]) return { text: NAMED[byte], plain: false };
  if (byte > " " && byte < "\x7f") return { text: byte, plain: true };
  return { text: byte.charCodeAt(0).toString(16).padStart(2, "0"), plain: false };
}

// A text that is shown in a line, with what cannot be seen written out.
export function visible(text) {
  return [...text].map((byte) => (byte === " " ? " " : glyph(byte).plain ? byte : escaped(byte))).join("");
}

function escaped(byte) {
  return NAMED[byte] ?? `\\x${byte.charCodeAt(0).toString(16).padStart(2, "0")}`;
}

export function named(byte) {
  const code = `0x${byte.charCodeAt(0).toString(16).padStart(2, "0")}`;
  const names = { "\r": "carriage return", "\n": "line feed", "\t": "tab", " ": "space", "\0": "null" };
  const name = names[byte] ?? (glyph(byte).plain ? byte : "");
  return name ? `${name} (${code})` : code;
}
