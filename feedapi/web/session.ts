// One world played live: a ticket, a socket, going on after a lost connection, and words for why it ended.

import { wantedCodec } from "./video.js";
import { Live, type Notice } from "./live.js";
import type { Speaker } from "./sound.js";
import { CLOSE, type Frame } from "./wire.js";

/** The right to open one socket to one world, once; see POST /v1/worlds/{id}/sessions. */
export interface Ticket {
  session: string;
  socket: string;
  expires: string;
}

export interface Stage {
  context: CanvasRenderingContext2D;
  speaker: Speaker;
  /** Words over the picture; with ``again`` a button starts anew. */
  notice(text: string, again?: boolean): void;
  /** For every frame that is drawn. */
  shown(frame: Frame): void;
  /** When the browser has painted it. */
  painted?(frame: Frame, now: number): void;
  /** The first frame of a session is there. */
  began?(session: string): void;
  /** Play is over, unless it was this side that ended it. */
  ended?(): void;
}

const CLOSED: Readonly<Record<number, string>> = {
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
export class Refusal extends Error {}

/** The words of a problem that the server answered with. */
export async function refusal(answer: Response): Promise<Refusal> {
  const problem = (await answer.json()) as { title: string; detail: string };
  return new Refusal(`${problem.title}: ${problem.detail}.`);
}

/** ``context`` is that of the feed's item, where one led here. Throws Refusal. */
export async function askTicket(world: string, context?: string): Promise<Ticket> {
  const path = `/v1/worlds/${encodeURIComponent(world)}/sessions`;
  const body = { headers: { "Content-Type": "application/json" }, body: JSON.stringify({ context }) };
  const answer = await fetch(path, { method: "POST", ...(context === undefined ? {} : body) }).catch(() => {
    throw new Refusal("The server cannot be reached.");
  });
  if (!answer.ok) throw await refusal(answer);
  return (await answer.json()) as Ticket;
}

export const fresh = (ticket: Ticket | null): ticket is Ticket =>
  ticket !== null && Date.parse(ticket.expires) - Date.now() > SPARE;

export class Play {
  private live: Live | null = null;
  private session = "";
  private resume: string | null = null; // with it the session goes on after the connection was lost
  private tries = 0;
  private over = false;
  private begun = false;
  private again = 0;

  constructor(
    private readonly world: string,
    private readonly stage: Stage,
    private readonly context?: string,
  ) {}

  /** Begin, with a ticket that was got ahead where there is one. */
  async start(ahead: Ticket | null = null): Promise<void> {
    this.stage.notice("Waking the world…");
    try {
      const ticket = fresh(ahead) ? ahead : await askTicket(this.world, this.context);
      if (this.over) return;
      this.tries = 0;
      this.session = ticket.session;
      await this.connect(ticket.socket);
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      if (!this.over) this.stage.notice(error.message, true);
    }
  }

  private async connect(path: string): Promise<void> {
    const address = `${path}&video=${await wantedCodec()}`;
    if (this.over) return;
    this.live = new Live(address, {
      contexts: { frame: this.stage.context },
      shown: (frame) => this.show(frame),
      told: (notice) => this.told(notice),
      closed: (event) => this.ended(event),
      heard: (samples) => this.stage.speaker.push(samples),
      painted: (frame, now) => this.stage.painted?.(frame, now),
    });
  }

  private told(message: Notice): void {
    if (message.type === "hello") this.resume = message.resume;
    else if (message.type === "held") {
      document.documentElement.dataset.held = "yes"; // the picture is covered until the next one comes
      this.stage.notice("Looking ahead, one moment…");
    }
    else if (message.position === 0) this.stage.notice("Your turn…");
    else this.stage.notice(`All places are taken. You are number ${message.position} in the queue.`);
  }

  private show(frame: Frame): void {
    this.tries = 0;
    document.documentElement.dataset.held = "no";
    this.stage.notice(frame.done ? "You made it!" : "");
    this.stage.shown(frame);
    if (!this.begun) {
      this.begun = true;
      this.stage.began?.(this.session);
    }
  }

  private ended({ code, reason }: { code: number; reason: string }): void {
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

  keys(held: number, at: number): void {
    this.live?.keys(held, at);
  }

  /** Report what is on the picture; false where nothing is. */
  report(): boolean {
    if (!this.live || this.live.over || !this.begun) return false;
    this.live.report();
    return true;
  }

  leave(): void {
    this.over = true;
    clearTimeout(this.again);
    this.live?.leave();
  }
}
