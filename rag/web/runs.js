// Runs: what a long program of the server says while it works, followed from this tab through reloads and lost servers.
import * as api from "./api.js";
import { confirmed } from "./dialogs.js";
import { h, icon } from "./dom.js";
import { strings } from "./strings.js";

const LOOK_MS = 1000;
const HIDDEN_MS = 5000;
const OPEN = new Set(["checking", "queued", "running"]);

/** Whether a run waits or works. */
export const isOpen = (run) => OPEN.has(run.state);

/** Follow a run: take(run, points) is called at every news, until it has ended or stop() is called. */
export function follow(id, take, onProblem) {
  const points = [];
  let after = 0;
  let timer = 0;
  let over = false;

  async function look() {
    clearTimeout(timer);
    let more = true;
    try {
      const run = await api.get(`/api/runs/${id}`, { after });
      if (over) return;
      after = run.next;
      points.push(...run.points);
      take(run, points);
      more = isOpen(run) || run.points.length > 0;
    } catch (error) {
      if (over) return;
      if (error.code !== "offline" && error.code !== "loading") {
        onProblem(error);
        return;
      }
    }
    if (more) timer = setTimeout(look, document.hidden ? HIDDEN_MS : LOOK_MS);
  }

  look();
  return {
    look,
    stop() {
      over = true;
      clearTimeout(timer);
    },
  };
}

const KINDS = { done: "ok", failed: "error", cancelled: "warn", interrupted: "warn" };

/** A run's state as a badge. */
export function stateBadge(run) {
  const kind = KINDS[run.state] ?? "";
  return h("span", { class: `badge ${kind}`, "data-state": run.state }, strings.runStates[run.state]);
}

const stopping = new Set(); // when the turns began whose end was asked for
const isStopping = (run) => isOpen(run) && stopping.has(run.started);

/** What can be done with a run in its state; after each, done() is called, after its removal gone(). */
export function runActions(run, { done, gone, onProblem }) {
  const said = h("span", { class: "muted", role: "status", tabindex: "-1" }, isStopping(run) && strings.stopping(run));
  const act = (label, work, { primary = false, name = null } = {}) =>
    h(
      "button",
      {
        type: "button",
        class: primary ? "primary" : "",
        disabled: isStopping(run),
        onclick: async ({ currentTarget: button }) => {
          button.disabled = true;
          try {
            await work();
          } catch (error) {
            onProblem(error);
          }
          button.disabled = isStopping(run);
          if ([button, document.body].includes(document.activeElement)) (button.disabled ? said : button).focus();
        },
      },
      name && icon(name),
      label,
    );
  const send = (what) => async () => {
    await api.post(`/api/runs/${run.id}/${what}`);
    done();
  };
  const stop = async () => {
    await api.post(`/api/runs/${run.id}/cancel`);
    if (run.started) {
      stopping.add(run.started);
      said.textContent = strings.stopping(run);
    }
    done();
  };
  const remove = async () => {
    if (!(await confirmed(strings.deleteRunSure[run.kind](run.title), strings.delete, strings.cancel))) return;
    await api.remove(`/api/runs/${run.id}`);
    gone();
  };
  const deletion = act(strings.deleteRun, remove, { name: "trash" });
  if (run.state === "planned") return [act(strings.startRun, send("start"), { primary: true }), deletion];
  if (isOpen(run)) return [act(strings.cancelRun, stop, { name: "stop" }), said];
  if (run.state === "done") return [deletion];
  const label = run.state === "failed" ? strings.retry : strings.resumeRun;
  return [act(label, send("resume"), { primary: true, name: "again" }), deletion];
}

/** Runs as a list of links; address(run) says where each leads. */
export function runList(runs, address) {
  return h(
    "ul",
    { class: "plain run-list" },
    runs.map((run) =>
      h(
        "li",
        {},
        h("a", { href: address(run) }, run.title),
        h("span", { class: "muted small" }, strings.runMade(run)),
        stateBadge(run),
      ),
    ),
  );
}

/** How far a part of the work is: words, and a bar where that is known. */
export function progressLine(text, done = null, of = null) {
  const bar = of ? h("progress", { max: String(of), value: String(done), "aria-label": text }) : null;
  return h("div", { class: "progress-line" }, h("p", { class: of ? "" : "waiting" }, text), bar);
}

/** Why a run failed, in the program's own words. */
export const failureOf = (run) =>
  h(
    "div",
    { class: "notice error", role: "alert" },
    h("strong", {}, strings.runFailed),
    h("pre", { class: "said", tabindex: "0" }, run.failure),
  );
