// Bytes as a person writes them: \r \n \t \\ and \x00 to \xff, all else as it is.  Line breaks count for nothing.
const SHORT = { "\r": "\\r", "\n": "\\n", "\t": "\\t", "\\": "\\\\" };
const MEANT = { r: "\r", n: "\n", t: "\t", 0: "\0", "\\": "\\" };

// The bytes, written out, a line for each line.
export function written(bytes) {
  const plain = [...bytes].map((byte) => SHORT[byte] ?? (byte >= " " && byte < "\x7f" ? byte : `\\x${byte.charCodeAt(0).toString(16).padStart(2, "0")}`)).join("");
  return plain.replace(/\\n(?=.)/g, "\\n\n");
}

// What was written, as bytes; an Error says where it is wrong.
export function meant(text) {
  return text.replace(/[\r\n]/g, "").replace(/\\(x[0-9a-fA-F]{2}|[rnt0\\])|\\|[^\x00-\x7e]/gu, (found, escape, at) => {
    if (escape) return escape[0] === "x" ? String.fromCharCode(parseInt(escape.slice(1), 16)) : MEANT[escape];
    throw new Error(found === "\\" ? `The \\ at character ${at + 1} begins none of \\r \\n \\t \\0 \\\\ \\x00.` : `“${found}” at character ${at + 1} is not ASCII; write its bytes as \\x00 to \\xff.`);
  });
}
