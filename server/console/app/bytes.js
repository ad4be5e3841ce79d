// Names and keys are bytes, in base64 as JSON has them. This makes of them what people can read, and
// the other way round.

const exact = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
const encoder = new TextEncoder();

// Controls, what is invisible or turns the direction of writing, and the backslash that marks them.
const UNSHOWABLE = /[\p{Cc}\p{Cf}\p{Co}\p{Cn}\p{Zl}\p{Zp}\u3164\uffa0\\]/gu;

/** @param {string} base64 */
export function bytesOf(base64) {
  const text = atob(base64 ?? "");
  return Uint8Array.from(text, (char) => char.charCodeAt(0));
}

/** @param {Uint8Array} bytes */
export function base64Of(bytes) {
  let text = "";
  for (const byte of bytes) text += String.fromCharCode(byte);
  return btoa(text);
}

/** What somebody typed, as base64. */
export function base64OfText(text) {
  return base64Of(encoder.encode(text));
}

/**
 * Bytes as text that shows all of them: `\xff` for what is no UTF-8, `\u{202e}` for what would not
 * be seen, `\\` for a backslash.
 */
export function shown(base64) {
  const bytes = bytesOf(base64);
  try {
    return exact.decode(bytes).replace(UNSHOWABLE, escaped);
  } catch {
    return pieces(bytes).join("");
  }
}

/** Whether the bytes are text as they stand. */
export function isPlain(base64) {
  try {
    return exact.decode(bytesOf(base64)).search(UNSHOWABLE) < 0;
  } catch {
    return false;
  }
}

function escaped(char) {
  if (char === "\\") return "\\\\";
  const code = char.codePointAt(0);
  return code < 0x80 ? hexByte(code) : `\\u{${code.toString(16)}}`;
}

function hexByte(byte) {
  return `\\x${byte.toString(16).padStart(2, "0")}`;
}

function pieces(bytes) {
  const all = [];
  for (let at = 0; at < bytes.length; ) {
    const length = lengthOfChar(bytes, at);
    all.push(
      length
        ? exact.decode(bytes.subarray(at, at + length)).replace(UNSHOWABLE, escaped)
        : hexByte(bytes[at]),
    );
    at += length || 1;
  }
  return all;
}

/** How many bytes the character at `at` has; 0 if there is none. */
function lengthOfChar(bytes, at) {
  const first = bytes[at];
  const length = first < 0x80 ? 1 : first < 0xc2 ? 0 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
  try {
    if (at + length > bytes.length) return 0;
    exact.decode(bytes.subarray(at, at + length));
    return length;
  } catch {
    return 0;
  }
}

/** A lease or session, which JSON has in decimal, as every etcd client prints it. */
export function hexOf(decimal) {
  const number = BigInt(decimal ?? 0);
  return BigInt.asUintN(64, number).toString(16);
}
