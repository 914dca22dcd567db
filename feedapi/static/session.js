// One world played live: a ticket, a socket, going on after a lost connection, and words for why it ended.
import { wantedCodec } from "./video.js";
import { Live } from "./live.js";
import { CLOSE } from "./wire.js";
const CLOSED = {
    1012: "The server is restarting.",
    [CLOSE.TRY_AGAIN_LATER]: "All places are taken. Try again in a minute.",
    [CLOSE.BAD_TICKET]: "The ticket was no longer good.",
    [CLOSE.GUARDED]: "Play has ended: this world showed something that is not allowed here. It is being looked at.",
    [CLOSE.NOT_PUBLISHED]: "This world was withdrawn.",
    [CLOSE.UNGUARDED]: "Nobody can watch over play just now. Try again in a minute.",
};
const DROPPED = 1006; // the connection was lost, and nobody closed it
const TRIES = 5;
const SPARE = 5_000; // ms before its end, after which a ticket is not used any more
/** Why no ticket was given, in words. */
export class Refusal extends Error {
}
/** The words of a problem that the server answered with. */
export async function refusal(answer) {
    const problem = (await answer.json());
    return new Refusal(`${problem.title}: ${problem.detail}.`);
}
/** ``context`` is that of the feed's item, where one led here. Throws Refusal. */
export async function askTicket(world, context) {
    const path = `/v1/worlds/${encodeURIComponent(world)}/sessions`;
    const body = { headers: { "Content-Type": "application/json" }, body: JSON.stringify({ context }) };
    const answer = await fetch(path, { method: "POST", ...(context === undefined ? {} : body) }).catch(() => {
        throw new Refusal("The server cannot be reached.");
    });
    if (!answer.ok)
        throw await refusal(answer);
    return (await answer.json());
}
export const fresh = (ticket) => ticket !== null && Date.parse(ticket.expires) - Date.now() > SPARE;
export class Play {
    world;
    stage;
    context;
    live = null;
    session = "";
    resume = null; // with it the session goes on after the connection was lost
    tries = 0;
    over = false;
    begun = false;
    again = 0;
    constructor(world, stage, context) {
        this.world = world;
        this.stage = stage;
        this.context = context;
    }
    /** Begin, with a ticket that was got ahead where there is one. */
    async start(ahead = null) {
        this.stage.notice("Waking the world…");
        try {
            const ticket = fresh(ahead) ? ahead : await askTicket(this.world, this.context);
            if (this.over)
                return;
            this.tries = 0;
            this.session = ticket.session;
            await this.connect(ticket.socket);
        }
        catch (error) {
            if (!(error instanceof Refusal))
                throw error;
            if (!this.over)
                this.stage.notice(error.message, true);
        }
    }
    async connect(path) {
        const address = `${path}&video=${await wantedCodec()}`;
        if (this.over)
            return;
        this.live = new Live(address, {
            contexts: { frame: this.stage.context },
            shown: (frame) => this.show(frame),
            told: (notice) => this.told(notice),
            closed: (event) => this.ended(event),
            heard: (samples) => this.stage.speaker.push(samples),
            painted: (frame, now) => this.stage.painted?.(frame, now),
        });
    }
    told(message) {
        if (message.type === "hello")
            this.resume = message.resume;
        else if (message.type === "held") {
            document.documentElement.dataset.held = "yes"; // the picture is covered until the next one comes
            this.stage.notice("Looking ahead, one moment…");
        }
        else if (message.position === 0)
            this.stage.notice("Your turn…");
        else
            this.stage.notice(`All places are taken. You are number ${message.position} in the queue.`);
    }
    show(frame) {
        this.tries = 0;
        document.documentElement.dataset.held = "no";
        this.stage.notice(frame.done ? "You made it!" : "");
        this.stage.shown(frame);
        if (!this.begun) {
            this.begun = true;
            this.stage.began?.(this.session);
        }
    }
    ended({ code, reason }) {
        this.stage.ended?.();
        if (code === DROPPED && this.resume !== null && this.tries < TRIES) {
            this.tries += 1;
            this.stage.notice("The connection was lost. Trying to go on…");
            const path = `/v1/worlds/${encodeURIComponent(this.world)}/play?resume=${encodeURIComponent(this.resume)}`;
            this.again = window.setTimeout(() => this.connect(path), 1000 * this.tries);
            return;
        }
        this.stage.notice(CLOSED[code] ?? (reason ? `Play has ended: ${reason}.` : "The connection was lost."), true);
    }
    keys(held, at) {
        this.live?.keys(held, at);
    }
    /** Report what is on the picture; false where nothing is. */
    report() {
        if (!this.live || this.live.over || !this.begun)
            return false;
        this.live.report();
        return true;
    }
    leave() {
        this.over = true;
        clearTimeout(this.again);
        this.live?.leave();
    }
}
