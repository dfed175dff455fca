/** The keys of the picture. A length can be measured without a pointer: `m` begins one and arrows move its end. */
import type { Keys } from "../keys";
import type { Measure } from "../viewer/measures";
import type { Preset } from "../viewer/presets";
import type { Stage } from "../viewer/stage";
import type { Tool } from "./picture_drag";

type Ref<T> = { current: T | null };

interface Acts {
  stage: Ref<Stage>;
  presets: readonly Preset[];
  onTool: (tool: Tool) => void;
  onOverlay: () => void;
  onSeries: (by: number) => void;
}

const FIRST_LENGTH = 20;
const PAN = 30;
let measured: Measure | null = null;
let isFromEnd = false;

export function pictureKeys({ stage, presets, onTool, onOverlay, onSeries }: Acts): Keys {
  const to = (act: (on: Stage) => unknown) => () => {
    if (stage.current) act(stage.current);
  };
  const chosen = presets.map((preset, n) => [String(n + 1), to((on) => on.preset(preset))] as const);
  return {
    ...Object.fromEntries(chosen),
    ArrowDown: to((on) => (held(on) ? nudge(on, 0, 1) : on.step(1))),
    ArrowUp: to((on) => (held(on) ? nudge(on, 0, -1) : on.step(-1))),
    ArrowRight: to((on) => (held(on) ? nudge(on, 1, 0) : on.step(1))),
    ArrowLeft: to((on) => (held(on) ? nudge(on, -1, 0) : on.step(-1))),
    PageDown: to((on) => on.step(10)),
    PageUp: to((on) => on.step(-10)),
    Home: to((on) => on.go(0)),
    End: to((on) => on.go(Number.MAX_SAFE_INTEGER)),
    "Shift+ArrowDown": to((on) => on.panBy(0, -PAN)),
    "Shift+ArrowUp": to((on) => on.panBy(0, PAN)),
    "Shift+ArrowRight": to((on) => on.panBy(-PAN, 0)),
    "Shift+ArrowLeft": to((on) => on.panBy(PAN, 0)),
    "+": to((on) => on.zoomBy(1.2)),
    "=": to((on) => on.zoomBy(1.2)),
    "-": to((on) => on.zoomBy(1 / 1.2)),
    "0": to((on) => on.fit()),
    i: to((on) => on.invert()),
    o: onOverlay,
    "[": () => onSeries(-1),
    "]": () => onSeries(1),
    m: to((on) => {
      onTool("measure");
      next(on);
    }),
    Delete: to(wipe),
    Backspace: to(wipe),
  };
}

/** The length that arrows move; one of a case that has left the screen, or that was deleted, is none. */
function held(stage: Stage): Measure | null {
  return measured && stage.measures.includes(measured) ? measured : null;
}

/** `m` begins a length in the middle of the picture; again, it moves the other end; a third time, it is done. */
function next(stage: Stage): void {
  const picture = stage.picture;
  if (!picture) return;
  if (held(stage) && isFromEnd) {
    measured = null;
    return;
  }
  if (held(stage)) {
    isFromEnd = true;
    return;
  }
  const from = stage.middle();
  measured = { imageId: picture.imageId, from, to: { column: from.column + FIRST_LENGTH, row: from.row } };
  isFromEnd = false;
  stage.measures.push(measured);
  stage.draw();
}

function nudge(stage: Stage, columns: number, rows: number): void {
  const moved = held(stage);
  if (!moved || moved.imageId !== stage.picture?.imageId) return;
  const end = isFromEnd ? moved.from : moved.to;
  end.column += columns;
  end.row += rows;
  stage.draw();
}

function wipe(stage: Stage): void {
  measured = null;
  stage.measures = [];
  stage.draw();
}
