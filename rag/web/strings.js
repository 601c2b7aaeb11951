// Every sentence of the page. Values that need numbers or names are functions.
const number = new Intl.NumberFormat("en");
const plural = new Intl.PluralRules("en");
const count = (n, one, other) => `${number.format(n)} ${plural.select(n) === "one" ? one : other}`;
const seconds = (s) => `${s.toFixed(s < 10 ? 2 : 1)} s`;
const day = new Intl.DateTimeFormat("en", { dateStyle: "medium" });

export const strings = {
  app: "Homeground",

  loading: "Loading the models…",
  loadingMore: "This takes a few seconds after every start. The page goes on by itself.",
  signedOut: "You are not signed in",
  signedOutMore: "Open the newest sign-in link from the terminal in which Homeground runs. Each link works once.",
  signInRefused:
    "This sign-in link is wrong or was used already. Open the newest one from the terminal in which Homeground runs.",
  signedOutDone: "You are signed out.",
  disconnected: "Homeground does not answer",
  disconnectedMore: "It may have been stopped. Start it again in the terminal; the page goes on by itself.",

  welcome: "What would you like to know?",
  welcomeMore: (collection, documents) =>
    `Answers come from ${count(documents, "document", "documents")} in “${collection}”. Every number in an answer opens the exact words behind it.`,
  welcomePlain: "Without documents the model answers from what it learned in training, and names no sources.",
  nothingYet: "No documents yet",
  nothingYetMore:
    "Add files, and ask about them; they stay on this machine. Until then the model answers from what it learned in training.",
  addDocuments: "Add documents",

  question: "Your question",
  questionHint: "Ask your documents…",
  questionHintPlain: "Ask the model…",
  collection: "Collection",
  adapter: "Adapter",
  defaultAdapter: (name) => (name ? `Usual adapter (${name})` : "Usual adapter"),
  noAdapter: "No adapter",
  useDocuments: "Use documents",
  ask: "Ask",
  stop: "Stop",
  answers: "Questions and answers",
  source: (number, title, page) => `Source ${number}, ${title}${page ? `, page ${page}` : ""}`,

  reading: "Reading the documents…",
  thinking: "Thinking…",
  stillThinking: (s) => `Still working, ${Math.round(s)} s so far…`,
  queued: (ahead) => `Waiting: ${count(ahead, "question", "questions")} before yours.`,
  stopped: "Stopped. What had arrived is kept.",
  interrupted: "The connection broke. What had arrived is kept; ask again.",
  sources: "Sources",
  computed: "The model named no source. These words were found by comparing its answer with the documents.",
  weak: "Weak match: check it",
  unbacked: "No document backs this answer.",
  unbackedMore: "The closest passages:",
  abstained: "The documents don’t answer this",
  lookedAt: "What was looked at:",
  lookedAtNothing: "No passage comes close to the question. Try other words, or another collection.",
  askPlain: "Ask without documents",
  copy: "Copy",
  copied: "Copied",
  truncated: "The answer stopped at its length limit.",
  answering: "Answering",
  complete: (sources) => `Answer complete, ${count(sources, "source", "sources")}.`,
  page: (page) => `page ${page}`,
  timings: (a) =>
    [
      a.adapter ? `${a.model}:${a.adapter}` : a.model,
      a.timings.queued_s > 0.5 && `waited ${seconds(a.timings.queued_s)}`,
      a.collection && `retrieval ${seconds(a.timings.retrieve_s)}`,
      a.timings.new_tokens > 0 && `first word ${seconds(a.timings.first_token_s)}`,
      `total ${seconds(a.timings.total_s)}`,
      a.timings.new_tokens > 0 &&
        `${number.format(a.timings.prompt_tokens)} + ${number.format(a.timings.new_tokens)} tokens`,
    ]
      .filter(Boolean)
      .join(" · "),

  close: "Close",
  sourceText: "Text of the document",
  showBefore: "Show what comes before",
  showAfter: "Show what comes after",
  previousQuote: "Previous quote",
  nextQuote: "Next quote",
  quoteOf: (at, all) => `Quote ${at} of ${all}`,
  pageBreak: (page) => `Page ${page}`,

  documents: "Documents",
  newCollection: "New collection",
  collectionName: "Name",
  collectionRule: "Small letters, digits, dots, dashes and underscores.",
  create: "Create",
  cancel: "Cancel",
  deleteCollection: "Delete collection",
  deleteCollectionSure: (name, documents) =>
    `Delete the collection “${name}” with ${count(documents, "document", "documents")}? This cannot be undone.`,
  deleteDocument: (title) => `Delete ${title}`,
  deleteDocumentSure: (title) => `Delete “${title}” from this collection? The file on your disk stays where it is.`,
  delete: "Delete",
  deleted: (title) => `${title} was deleted.`,
  dropHere: "Drop files or a folder here",
  dropMore: (mb) =>
    `PDF, Markdown, HTML, reStructuredText, plain text and source code, up to ${number.format(mb)} MB each.`,
  addFiles: "Add files",
  addFolder: "Add a folder",
  uploads: "Files being added",
  clearUploads: "Clear finished",
  uploadWaiting: "Waiting",
  uploadSending: (percent) => `Sending, ${percent} %`,
  uploadIndexing: "Reading and indexing…",
  uploadDone: (chunks) => `Added, ${count(chunks, "passage", "passages")}`,
  uploadTooLarge: (mb) => `Larger than ${number.format(mb)} MB. Split it, or raise max_upload_mb in the settings.`,
  uploadLost: "The connection broke. Try again.",
  retry: "Try again",
  dismiss: "Dismiss",
  search: "Search by name",
  name: "Name",
  type: "Type",
  pages: "Pages",
  passages: "Passages",
  added: "Added",
  actions: "Actions",
  total: (documents, chunks) => `${count(documents, "document", "documents")}, ${count(chunks, "passage", "passages")}`,
  noMatch: (text) => `No document’s name contains “${text}”.`,
  noDocuments: "No documents yet. Drop files above to begin.",
  showMore: "Show more",
  day: (s) => day.format(new Date(s * 1000)),
  integer: (n) => number.format(n),

  failed: "That did not work.",
};
