// What the scripts of a report's page are given, and what they pass to each other.

/** data/report.js: see inspection/report/payload.py. */
declare const REPORT: any;
/** Only in a report that is a single file: its pictures by their path in the report. */
declare const IMAGES: Record<string, string>;
/** Only while a PDF is printed: what `defect-inspect report` was given along. */
declare const PRINTED: { decisions: Entry[]; release: any; seal: string };
/** vendor/virtual-core.js. */
declare const VirtualCore: any;

/** A strip and its indications: columns of REPORT.strips, and what data.js adds. */
interface Strip {
  strip_id: string;
  index: number;
  name: string;
  cards: Indication[];
  [column: string]: any;
}

/** An indication card: columns of REPORT.cards, and what data.js adds. */
interface Indication {
  number: number;
  strip: Strip;
  left: number;
  top: number;
  class: number;
  flagged: boolean;
  [column: string]: any;
}

/** A strip, or one of its patches: what decisions are about. */
interface Subject {
  strip: string;
  left: number | null;
  key: string;
}

/** What is decided. */
interface Content {
  kind: Entry["kind"];
  class?: string;
  disposition?: string;
  undoes?: string;
}

/** A button of the controls. */
interface ActOf {
  text: string;
  short: string;
  glyph?: number;
  content: Content;
}

/** A patch of a strip: columns of data/tiles-N.js, and what tiles.js adds. */
interface Tile {
  strip: Strip;
  left: number;
  top: number;
  size: number;
  [column: string]: any;
}

/** A decision as the decision file has it: see docs/review.md. */
interface Entry {
  id: string;
  kind: "confirm" | "reject" | "reclass" | "disposition" | "undo";
  strip: string;
  left?: number;
  class?: string;
  disposition?: string;
  undoes?: string;
  reviewer: string;
  reason: string;
  time: string;
  in_view_of: string[];
}

/** What holds for a patch or a strip. */
interface State {
  status: "open" | "decided" | "disputed";
  current: (Entry & { value: string })[];
  tips: string[];
}

/** A decision on its way to the review, and the current ones that its author saw. */
interface Waiting {
  entry: Entry;
  saw: string[];
}

/** Decisions that were made at once, and are sent at once. */
interface Act {
  name: string;
  entries: Entry[];
  saw: string[][];
  kept: boolean;
  refused: string;
}

/** Why a request failed; status 0: the server was not reached. */
interface Refusal extends Error {
  status: number;
}

interface StripMap {
  refresh(strip: Strip): void;
  refreshAll(): void;
}
