// Numbers, times and dates in the page's language.
export const number = new Intl.NumberFormat("en");
export const plural = new Intl.PluralRules("en");
export const count = (n, one, other) => `${number.format(n)} ${plural.select(n) === "one" ? one : other}`;
export const seconds = (s) => `${s.toFixed(s < 10 ? 2 : 1)} s`;
export const moment = new Intl.DateTimeFormat("en", { dateStyle: "medium", timeStyle: "short" });
export const day = new Intl.DateTimeFormat("en", { dateStyle: "medium" });
