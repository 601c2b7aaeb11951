export function comparePage() { return { element: document.createElement("div"), title: "", update() {}, shown() {} }; }
