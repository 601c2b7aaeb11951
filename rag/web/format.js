// Numbers, times and dates in the page's language.
export const number = new Intl.NumberFormat("en");
export const plural = new Intl.PluralRules("en");
export const count = (n, one, other) => `${number.format(n)} ${plural.select(n) === "one" ? one : other}`;
export const seconds = (s) => `${s.toFixed(s < 10 ? 2 : 1)} s`;
export const duration = (s) =>
  s < 90 ? `${Math.max(1, Math.round(s))} s` : s < 5400 ? `${Math.round(s / 60)} min` : `${(s / 3600).toFixed(1)} h`;
export const size = (bytes) => (bytes < 1e9 ? `${(bytes / 1e6).toFixed(1)} MB` : `${(bytes / 1e9).toFixed(1)} GB`);
export const moment = new Intl.DateTimeFormat("en", { dateStyle: "medium", timeStyle: "short" });
export const day = new Intl.DateTimeFormat("en", { dateStyle: "medium" });
