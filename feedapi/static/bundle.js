// A signed bundle of a world for this device; feedapi/device.py says what is in it.
import { hex } from "./hex.js";
import { Refusal, refusal } from "./session.js";
const MAGIC = "FPB1";
const SIGNATURE = 64;
const FORMAT = 1;
const GRAPHS = "firstplay-graphs";
const PATIENCE = 120_000; // ms for a world to be packed
const sha256 = async (bytes) => hex(new Uint8Array(await crypto.subtle.digest("SHA-256", bytes)));
export const bytesOf = (base64) => Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
/** Ask for a world and fetch it. Throws Refusal where it may not, or cannot yet, be played here. */
export async function fetchBundle(world, key, waiting) {
    if (globalThis.crypto.subtle === undefined)
        throw new Refusal("This page is not served over https, so no bundle can be checked.");
    const answer = await fetch(await start(world, waiting));
    if (!answer.ok)
        throw await refusal(answer);
    return opened(await answer.arrayBuffer(), key);
}
async function start(world, waiting) {
    const until = performance.now() + PATIENCE;
    for (;;) {
        const answer = await fetch(`/v1/worlds/${encodeURIComponent(world)}/device`, { method: "POST" });
        if (answer.ok)
            return (await answer.json()).bundle;
        if (answer.status !== 503 || performance.now() > until)
            throw await refusal(answer);
        waiting("Packing this world for devices. This is done once…");
        const wait = Number(answer.headers.get("Retry-After") ?? 3);
        await new Promise((next) => setTimeout(next, wait * 1000));
    }
}
/** Take a bundle apart. Throws where it is not whole, or not signed with the key. */
export async function opened(bytes, key) {
    const magic = new TextDecoder().decode(bytes.slice(0, MAGIC.length));
    if (magic !== MAGIC)
        throw new Error("what came is no bundle");
    const begin = MAGIC.length + 4;
    const end = begin + new DataView(bytes).getUint32(MAGIC.length, true);
    const text = bytes.slice(begin, end);
    const signature = bytes.slice(end, end + SIGNATURE);
    const signer = await crypto.subtle.importKey("raw", bytesOf(key), "Ed25519", false, ["verify"]);
    if (!(await crypto.subtle.verify("Ed25519", signer, signature, text)))
        throw new Error("the bundle's signature is wrong");
    const header = JSON.parse(new TextDecoder().decode(text));
    if (header.format !== FORMAT)
        throw new Error(`bundles of format ${header.format} cannot be read: load the page again`);
    const data = bytes.slice(end + SIGNATURE);
    if ((await sha256(data)) !== header.data)
        throw new Error("the bundle's world is not the one that was signed");
    return { header, data };
}
/** The model's graph, from the browser's own store after the first time; its hash is in the signed header. */
export async function fetchGraph({ path, sha256: wanted }) {
    const kept = await caches.open(GRAPHS);
    let answer = await kept.match(path);
    const known = answer !== undefined;
    answer ??= await fetch(path);
    if (!answer.ok)
        throw await refusal(answer);
    const bytes = await answer.arrayBuffer();
    if ((await sha256(bytes)) !== wanted) {
        await kept.delete(path);
        throw new Error("the model is not the one that was signed");
    }
    if (!known)
        await kept.put(path, new Response(bytes));
    return new Uint8Array(bytes);
}
