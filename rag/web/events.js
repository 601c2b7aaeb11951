// The one stream of this tab: what becomes of every turn that is followed, through lost connections and reloads.
import * as api from "./api.js";

const SILENCE_MS = 20_000; // the server says something every five seconds
const WAITS_MS = [500, 1000, 2000, 4000, 8000];

/** Make the stream. onState(waitMs | null) tells when the connection is lost, and for how long, or that it is there. */
export function eventStream({ onState, onProblem }) {
  const followed = new Map(); // turn → { after, on }
  let controller = null;
  let failures = 0;
  let timer = 0;
  let opening = false;

  /** Call on[type](event) for a turn from event number `after` on, until it has ended. */
  function follow(turn, on, after = 0) {
    followed.set(turn, { after, on });
    openSoon();
  }

  function unfollow(turn) {
    if (followed.delete(turn)) openSoon();
  }

  /** Go on following a turn that nobody looks at, so that it does not end. */
  function keep(turn) {
    const entry = followed.get(turn);
    if (entry) entry.on = {};
  }

  /** Open the stream once for all that is followed in one go. */
  function openSoon() {
    if (opening) return;
    opening = true;
    queueMicrotask(open);
  }

  function open() {
    opening = false;
    clearTimeout(timer);
    controller?.abort();
    controller = null;
    if (followed.size) read((controller = new AbortController()));
  }

  async function read(own) {
    let watchdog = 0;
    const alive = () => {
      clearTimeout(watchdog);
      watchdog = setTimeout(() => own.abort(new DOMException("silence", "TimeoutError")), SILENCE_MS);
      if (failures) onState(null);
      failures = 0;
    };
    try {
      const wanted = [...followed].map(([turn, { after }]) => `${turn}:${after}`).join(",");
      await api.events(wanted, take, alive, own.signal);
      if (own === controller && followed.size) throw new api.ApiError("", "offline", 0);
    } catch (error) {
      if (own !== controller) return; // another one took its place
      if (error.code === "signed_out") onProblem(error);
      else if (error instanceof api.ApiError && error.status === 404) lose(error);
      else again();
    } finally {
      clearTimeout(watchdog);
    }
  }

  function take(event) {
    const entry = followed.get(event.turn);
    if (!entry) return;
    entry.after = event.n;
    if (event.type === "ended") followed.delete(event.turn);
    entry.on[event.type]?.(event);
  }

  /** A turn that is not there any more was removed elsewhere. */
  function lose(error) {
    for (const [turn, { on }] of [...followed]) {
      followed.delete(turn);
      on.ended?.({ end: { id: turn, state: "failed", text: "", result: { error } } });
    }
  }

  function again() {
    const wait = WAITS_MS[Math.min(failures, WAITS_MS.length - 1)] * (0.8 + 0.4 * Math.random());
    failures += 1;
    onState(wait);
    timer = setTimeout(open, wait);
  }

  addEventListener("online", () => failures && open());
  document.addEventListener("visibilitychange", () => !document.hidden && failures && open());
  return { follow, unfollow, keep, retry: open };
}
