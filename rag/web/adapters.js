export function adaptersPage() { return { element: document.createElement("div"), title: "", update() {}, shown() {} }; }
