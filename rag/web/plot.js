// Lines over steps or time, drawn as SVG of our own, with the same numbers as a table beside it.
import { h, svg } from "./dom.js";
import { strings } from "./strings.js";

const HEIGHT = 240;
const EDGE = { top: 12, right: 12, bottom: 30, left: 52 };
const MOST_ROWS = 100;

/**
 * Make a plot.
 *
 * label: what it shows; x(value) and y(value) write numbers; xLabel names the axis; share: values are from 0 to 1, and
 * only the ends of the x axis are named. update(series) draws lines { name, points: [[x, y], …], dots }; onpick(point)
 * is called with the point that is clicked, where there is one.
 */
export function plot({ label, x, y, xLabel, share = false, onpick = null }) {
  const picture = svg("svg", { class: "plot", role: "img", "aria-label": label, height: String(HEIGHT) });
  const readout = h("p", { class: "readout small muted", "aria-hidden": "true" });
  const legend = h("p", { class: "legend small" });
  const table = h("div", { class: "table", tabindex: "0", role: "region", "aria-label": label });
  const rows = h("details", { class: "numbers" }, h("summary", {}, strings.asTable), table);
  const element = h("figure", { class: "plotted" }, legend, picture, readout, rows);
  let series = [];
  let scale = null;

  function draw() {
    const width = picture.clientWidth;
    const all = series.flatMap((one) => one.points);
    picture.replaceChildren();
    if (!width || !all.length) return;
    scale = scales(all, width, share);
    picture.setAttribute("viewBox", `0 0 ${width} ${HEIGHT}`);
    picture.append(axes(scale, width, x, y));
    series.forEach((one, index) => picture.append(line(one, index, scale, width)));
  }

  function near(event) {
    const all = series.flatMap((one) => one.points.map((point) => ({ name: one.name, point })));
    if (!scale || !all.length) return null;
    const at = event.clientX - picture.getBoundingClientRect().left;
    const far = ({ point }) => Math.abs(scale.x(point[0]) - at);
    const best = Math.min(...all.map(far));
    return all.filter((one) => far(one) === best);
  }

  picture.addEventListener("pointermove", (event) => {
    const found = near(event);
    if (!found) return;
    const said = found.map(({ name, point }) => `${name} ${y(point[1])}`).join(", ");
    readout.textContent = `${x(found[0].point[0])}: ${said}`;
  });
  if (onpick) picture.addEventListener("click", (event) => onpick(near(event)?.[0].point));
  new ResizeObserver(draw).observe(picture);

  return {
    element,
    update(fresh) {
      series = fresh.filter((one) => one.points.length);
      element.hidden = !series.length;
      legend.replaceChildren(
        ...series.map((one, index) => h("span", { class: `key line-${index % 4}` }, h("i", {}), one.name)),
      );
      table.replaceChildren(numbers(series, x, y, xLabel));
      picture.setAttribute("aria-label", summary(label, series, y));
      draw();
    },
  };
}

const summary = (label, series, y) =>
  [label, ...series.map(({ name, points }) => strings.lineSummary(name, points.length, y(points[0][1]), y(points.at(-1)[1])))].join(
    ". ",
  );

function scales(points, width, share) {
  const range = (values) => {
    const low = Math.min(...values);
    const high = Math.max(...values);
    return low === high ? [low - 0.5, high + 0.5] : [low, high];
  };
  const [left, right] = range(points.map(([at]) => at));
  const [low, high] = share ? [0, 1] : range(points.map(([, value]) => value));
  const ends = [...new Set([left, right])].filter((end) => points.some(([at]) => at === end));
  const room = share ? 0 : (high - low) * 0.06;
  const inner = width - EDGE.left - EDGE.right;
  const tall = HEIGHT - EDGE.top - EDGE.bottom;
  return {
    x: (value) => EDGE.left + ((value - left) / (right - left)) * inner,
    y: (value) => EDGE.top + (1 - (value - low + room) / (high - low + 2 * room)) * tall,
    xs: share ? ends : ticks(left, right, Math.max(2, Math.floor(inner / 110))).filter(Number.isInteger),
    ends: share,
    ys: ticks(low, high, 5),
  };
}

/** Round numbers between two values, about so many. */
function ticks(low, high, count) {
  const rough = (high - low) / count;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((unit) => unit * power).find((unit) => unit >= rough);
  const found = [];
  for (let at = Math.ceil(low / step) * step; at <= high + step * 1e-6; at += step) found.push(at);
  return found;
}

function axes(scale, width, x, y) {
  const bottom = HEIGHT - EDGE.bottom;
  const group = svg("g", { class: "axes" });
  for (const value of scale.ys) {
    const at = scale.y(value).toFixed(1);
    group.append(svg("line", { x1: EDGE.left, x2: width - EDGE.right, y1: at, y2: at }));
    group.append(svg("text", { x: EDGE.left - 8, y: at, "text-anchor": "end", dy: "0.32em" }, y(value)));
  }
  scale.xs.forEach((value, index) => {
    const at = scale.x(value);
    const first = scale.ends && scale.xs.length > 1 && index === 0;
    const anchor = first ? "start" : at > width - 3 * EDGE.right ? "end" : "middle";
    group.append(svg("text", { x: at.toFixed(1), y: bottom + 18, "text-anchor": anchor }, x(value)));
  });
  return group;
}

function line(one, index, scale, width) {
  const group = svg("g", { class: `line line-${index % 4}` });
  const points = thinned(one.points, width).map(([at, value]) => `${scale.x(at).toFixed(1)},${scale.y(value).toFixed(1)}`);
  if (points.length > 1) group.append(svg("polyline", { points: points.join(" ") }));
  if (one.dots || points.length === 1) {
    for (const point of points) {
      const [cx, cy] = point.split(",");
      group.append(svg("circle", { cx, cy, r: 4 }));
    }
  }
  return group;
}

/** At most two points a pixel: the lowest and the highest of those that share it, so that no peak is lost. */
function thinned(points, width) {
  if (points.length <= width * 2) return points;
  const size = Math.ceil(points.length / width);
  const kept = [];
  for (let at = 0; at < points.length; at += size) {
    const some = points.slice(at, at + size);
    const by = (choose) => some.reduce((best, point) => (choose(point[1], best[1]) ? point : best));
    kept.push(...[by((a, b) => a < b), by((a, b) => a > b)].sort((a, b) => a[0] - b[0]));
  }
  return kept;
}

function numbers(series, x, y, xLabel) {
  const places = [...new Set(series.flatMap((one) => one.points.map(([at]) => at)))].sort((a, b) => a - b);
  const every = Math.ceil(places.length / MOST_ROWS);
  const evaluated = new Set(series.filter((one) => one.dots).flatMap((one) => one.points.map(([at]) => at)));
  const values = series.map((one) => new Map(one.points));
  const shown = places.filter((at, index) => evaluated.has(at) || index % every === 0 || index === places.length - 1);
  const head = [xLabel, ...series.map((one) => one.name)];
  return h(
    "table",
    {},
    h("thead", {}, h("tr", {}, head.map((name) => h("th", { scope: "col", class: "number" }, name)))),
    h(
      "tbody",
      {},
      shown.map((at) =>
        h(
          "tr",
          {},
          h("th", { scope: "row", class: "number" }, x(at)),
          values.map((of) => h("td", { class: "number" }, of.has(at) ? y(of.get(at)) : "")),
        ),
      ),
    ),
  );
}
