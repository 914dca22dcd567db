// Bytes as text, and names that nobody else has.
export const hex = (bytes) => Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
/** crypto.randomUUID() is there on https only. */
export const uuid = () => hex(crypto.getRandomValues(new Uint8Array(16)));
