/** What the pointer does on the picture: wheel scrolls, left is the chosen tool, right zooms, the middle button moves. */
import type { Measure } from "../viewer/measures";
import type { Stage } from "../viewer/stage";

export type Tool = "window" | "pan" | "zoom" | "measure";
type Ref<T> = { current: T | null };

const WHEEL = 40;
let travelled = 0;

/** Return the handlers of the picture's element. */
export function dragging(stage: Ref<Stage>, tool: Tool) {
  return {
    onWheel: (event: WheelEvent) => {
      event.preventDefault();
      travelled += event.deltaY;
      const steps = Math.trunc(travelled / WHEEL);
      travelled -= steps * WHEEL;
      if (steps) void stage.current?.step(Math.sign(steps) * Math.min(3, Math.abs(steps)));
    },
    onContextMenu: (event: Event) => event.preventDefault(),
    onPointerDown: (event: PointerEvent) => {
      const element = event.currentTarget as HTMLElement;
      const now = stage.current;
      if (!now) return;
      element.setPointerCapture(event.pointerId);
      const moved = moveOf(now, toolOf(event.button, tool), event);
      const end = () => {
        element.removeEventListener("pointermove", moved);
        element.removeEventListener("pointerup", end);
        element.removeEventListener("pointercancel", end);
      };
      element.addEventListener("pointermove", moved);
      element.addEventListener("pointerup", end);
      element.addEventListener("pointercancel", end);
    },
  };
}

function toolOf(button: number, tool: Tool): Tool {
  return button === 1 ? "pan" : button === 2 ? "zoom" : tool;
}

function moveOf(stage: Stage, tool: Tool, begun: PointerEvent): (event: PointerEvent) => void {
  if (tool === "measure") return measuring(stage, begun);
  let [x, y] = [begun.clientX, begun.clientY];
  return (event) => {
    const [dx, dy] = [event.clientX - x, event.clientY - y];
    [x, y] = [event.clientX, event.clientY];
    if (tool === "window") stage.windowBy(dx, dy);
    if (tool === "pan") stage.panBy(dx, dy);
    if (tool === "zoom") stage.zoomBy(Math.exp(-dy / 150));
  };
}

function measuring(stage: Stage, begun: PointerEvent): (event: PointerEvent) => void {
  const from = stage.placeAt(begun.offsetX, begun.offsetY);
  const picture = stage.picture;
  const measure: Measure = { imageId: picture?.imageId ?? "", from, to: from };
  let isDrawn = false;
  return (event) => {
    measure.to = stage.placeAt(event.offsetX, event.offsetY);
    if (!isDrawn) stage.measures.push(measure);
    isDrawn = true;
    stage.draw();
  };
}
