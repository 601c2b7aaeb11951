// Files on their way in: one row a file, two at a time, kept until they are dismissed.
import * as api from "./api.js";
import { announce, h, icon } from "./dom.js";
import { strings } from "./strings.js";

const AT_ONCE = 2;

/** Make the list of uploads; limit() is the largest file in MB, onDone() is called after each file that was added. */
export function uploads({ limit, onDone }) {
  const list = h("ul", { class: "uploads plain", "aria-label": strings.uploads });
  const clear = h(
    "button",
    { type: "button", class: "quiet", hidden: true, onclick: clearFinished },
    strings.clearUploads,
  );
  const waiting = [];
  let running = 0;

  function add(collection, files) {
    for (const { file, name } of files) {
      const entry = { collection, file, name, ...row(name) };
      list.append(entry.element);
      entry.retry = () => enqueue(entry);
      enqueue(entry);
    }
  }

  function enqueue(entry) {
    set(entry, "", strings.uploadWaiting);
    if (entry.file.size > limit() * 1e6) {
      set(entry, "failed", strings.uploadTooLarge(limit()));
      return;
    }
    waiting.push(entry);
    next();
  }

  function next() {
    while (running < AT_ONCE && waiting.length) {
      running += 1;
      send(waiting.shift()).finally(() => {
        running -= 1;
        next();
      });
    }
  }

  async function send(entry) {
    entry.progress.hidden = false;
    try {
      const report = await api.upload(entry.collection, entry.file, entry.name, (part) => {
        entry.progress.value = part;
        entry.state.textContent = part < 1 ? strings.uploadSending(Math.round(part * 100)) : strings.uploadIndexing;
        if (part >= 1) entry.progress.removeAttribute("value");
      });
      const warning = report.warnings[0]?.error;
      const done = strings.uploadDone(report.documents[0]?.chunks ?? 0);
      set(entry, "done", warning ? `${done}. ${warning}` : done);
      announce(`${entry.name}: ${done}`);
      onDone();
    } catch (error) {
      // The server's reason begins with the file's name, which stands above it already.
      const reason = error.message.startsWith(entry.name)
        ? error.message.slice(entry.name.length).trim()
        : error.message;
      set(entry, "failed", reason || strings.uploadLost, true);
      announce(`${entry.name}: ${reason || strings.uploadLost}`);
    }
  }

  function set(entry, kind, text, canRetry = false) {
    entry.element.className = `upload ${kind}`;
    entry.state.textContent = text;
    entry.progress.hidden = true;
    entry.buttons.replaceChildren(
      ...(canRetry
        ? [
            h(
              "button",
              {
                type: "button",
                class: "quiet icon",
                "aria-label": `${strings.retry}: ${entry.name}`,
                onclick: entry.retry,
              },
              icon("again"),
            ),
          ]
        : []),
      ...(kind
        ? [
            h(
              "button",
              {
                type: "button",
                class: "quiet icon",
                "aria-label": `${strings.dismiss}: ${entry.name}`,
                onclick: () => {
                  entry.element.remove();
                  tidy();
                },
              },
              icon("close"),
            ),
          ]
        : []),
    );
    tidy();
  }

  function row(name) {
    const state = h("span", { class: "state" });
    const progress = h("progress", { max: "1", value: "0", hidden: true, "aria-label": name });
    const buttons = h("span", { class: "row" });
    return {
      state,
      progress,
      buttons,
      element: h("li", { class: "upload" }, h("span", { class: "name" }, name), state, progress, buttons),
    };
  }

  function clearFinished() {
    for (const done of list.querySelectorAll(".upload.done")) done.remove();
    tidy();
  }

  function tidy() {
    clear.hidden = !list.querySelector(".upload.done");
  }

  return { element: h("div", {}, list, clear), add };
}

/** Return the files of a drop, folders included, with their paths. */
export async function dropped(transfer) {
  // Both are asked for before the first wait: afterwards the browser has forgotten the drop.
  const items = [...transfer.items]
    .filter((item) => item.kind === "file")
    .map((item) => ({ entry: item.webkitGetAsEntry(), file: item.getAsFile() }));
  const files = [];
  for (const { entry, file } of items) {
    if (entry) await walk(entry, files);
    else if (file) files.push({ file, name: file.name });
  }
  return files;
}

async function walk(entry, files) {
  if (entry.name.startsWith(".")) return;
  if (entry.isFile) {
    const file = await new Promise((resolve, reject) => entry.file(resolve, reject));
    files.push({ file, name: entry.fullPath.replace(/^\//, "") });
    return;
  }
  const reader = entry.createReader();
  // Browsers give a hundred names a call, and an empty list at the end.
  for (;;) {
    const found = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
    if (!found.length) return;
    for (const child of found) await walk(child, files);
  }
}
