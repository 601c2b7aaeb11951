// The pages of a PDF file, drawn by PDF.js as they come into view, with a quote marked on them.
import { h } from "./dom.js";
import { locate } from "./fold.js";
import { strings } from "./strings.js";

const LIBRARY = "/web/vendor/pdfjs-dist-6.5.438/";
const MOST_DOTS = 2; // a screen point, to draw no more than can be seen
const MARGIN = "60% 0px"; // so much above and below the view is drawn ahead

let library = null;

async function load() {
  library ??= (async () => {
    const pdfjs = await import(`${LIBRARY}build/pdf.min.mjs`);
    // The only address that becomes a script: the worker that reads the file.
    const address = `${LIBRARY}build/pdf.worker.min.mjs`;
    const policy = globalThis.trustedTypes?.createPolicy("homeground", { createScriptURL: () => address });
    const worker = new Worker(policy ? policy.createScriptURL("") : address, { type: "module" });
    pdfjs.GlobalWorkerOptions.workerPort = worker;
    return pdfjs;
  })();
  return library;
}

/**
 * Show a file's pages in `box`, which scrolls; resolves when the page with the quote is drawn.
 *
 * Returns { found, destroy }: whether the quote could be marked, and a function that lets go of the file.
 */
export async function showPdf(box, data, { page: wanted, quote }) {
  const pdfjs = await load();
  const url = (path) => new URL(LIBRARY + path, location.href).href;
  const loading = pdfjs.getDocument({
    data,
    cMapUrl: url("cmaps/"),
    cMapPacked: true,
    standardFontDataUrl: url("standard_fonts/"),
    wasmUrl: url("wasm/"),
    useWasm: false, // the page's policy forbids it; the scripts beside do the same
    enableXfa: false,
    isOffscreenCanvasSupported: false,
  });
  const file = await loading.promise;
  const width = box.clientWidth - 32;
  const first = await file.getPage(1);
  const size = first.getViewport({ scale: 1 });
  const scale = width / size.width;
  const pages = Array.from({ length: file.numPages }, (_, index) => {
    const element = h("div", { class: "pdf-page", role: "group", "aria-label": strings.pageBreak(index + 1) });
    place(element, size.width * scale, size.height * scale);
    return { number: index + 1, element, drawn: null, marked: false };
  });
  box.replaceChildren(...pages.map((entry) => entry.element));
  const target = pages[Math.min(Math.max(wanted ?? 1, 1), pages.length) - 1];
  target.element.scrollIntoView({ block: "start", behavior: "instant" });

  const seen = new IntersectionObserver(
    (entries) => {
      for (const { target: element, isIntersecting } of entries) {
        const entry = pages.find((one) => one.element === element);
        if (isIntersecting) draw(entry);
        else release(entry);
      }
    },
    { root: box, rootMargin: MARGIN },
  );
  for (const entry of pages) seen.observe(entry.element);

  /** Draw a page, once; resolves to its pieces of text. */
  function draw(entry) {
    entry.drawn ??= paint(pdfjs, file, entry, scale).catch((error) => {
      if (error.name !== "RenderingCancelledException") entry.element.append(h("p", { class: "muted" }, error.message));
      return [];
    });
    return entry.drawn;
  }

  function release(entry) {
    if (!entry.drawn || entry.marked || entry === target) return;
    entry.drawn = null;
    entry.element.replaceChildren();
  }

  async function mark() {
    if (!quote) return false;
    let texts = await draw(target);
    let place = locate(quote, texts.map((text) => text.data));
    const next = pages[target.number];
    if (!place && next) {
      texts = [...texts, ...(await draw(next))]; // the quote may run over the page's end
      place = locate(quote, texts.map((text) => text.data));
      next.marked = place !== null;
    }
    if (!place) return false;
    paintMarks(texts, place);
    const mark = box.querySelector(".pdf-mark");
    box.scrollTop += mark.getBoundingClientRect().top - box.getBoundingClientRect().top - box.clientHeight / 3;
    return true;
  }

  const found = await mark();
  return {
    found,
    destroy() {
      seen.disconnect();
      loading.destroy();
    },
  };
}

function place(element, width, height) {
  element.style.setProperty("width", `${width}px`);
  element.style.setProperty("height", `${height}px`);
}

async function paint(pdfjs, file, { number, element }, scale) {
  const page = await file.getPage(number);
  const viewport = page.getViewport({ scale });
  place(element, viewport.width, viewport.height);
  const dots = Math.min(devicePixelRatio || 1, MOST_DOTS);
  const canvas = h("canvas", { "aria-hidden": "true" });
  canvas.width = Math.floor(viewport.width * dots);
  canvas.height = Math.floor(viewport.height * dots);
  const layer = h("div", { class: "textLayer" });
  layer.style.setProperty("--total-scale-factor", String(scale));
  element.replaceChildren(canvas, layer);
  await page.render({ canvas, viewport, transform: dots === 1 ? null : [dots, 0, 0, dots, 0, 0] }).promise;
  const text = new pdfjs.TextLayer({ textContentSource: await page.getTextContent(), container: layer, viewport });
  await text.render();
  return text.textDivs.map((div) => div.firstChild).filter((node) => node?.nodeType === Node.TEXT_NODE);
}

/** Lay boxes over the words from one place to another; a box for each line on each page. */
function paintMarks(texts, { from, to }) {
  for (let index = from[0]; index <= to[0]; index += 1) {
    const range = document.createRange();
    range.setStart(texts[index], index === from[0] ? from[1] : 0);
    range.setEnd(texts[index], index === to[0] ? to[1] : texts[index].data.length);
    const page = texts[index].parentElement.closest(".pdf-page");
    const origin = page.getBoundingClientRect();
    for (const rect of range.getClientRects()) {
      const box = h("div", { class: "pdf-mark" });
      place(box, rect.width, rect.height);
      box.style.setProperty("left", `${rect.left - origin.left}px`);
      box.style.setProperty("top", `${rect.top - origin.top}px`);
      page.append(box);
    }
  }
}
