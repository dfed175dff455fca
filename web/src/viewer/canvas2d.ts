/** The canvas above the picture: masks of models, and lengths that the reader measured. */
import type { Mask } from "./masks";
import type { Measure } from "./measures";

/** Where a place of the image (column, row) lies on the canvas. */
export interface Frame {
  at(column: number, row: number): { x: number; y: number };
}

const LINE = "#ffd479";

export class Canvas2d {
  /** The canvas on screen now; it is another one after each clearing. */
  element = canvasOf(0, 0);
  private context = contextOf(this.element);
  private isBlank = true;

  /** Make the canvas as large as the picture. */
  fill(width: number, height: number): void {
    const ratio = window.devicePixelRatio || 1;
    this.renew(Math.round(width * ratio), Math.round(height * ratio));
  }

  /**
   * Take everything away, by a canvas on which nothing was ever drawn. One that was cleared, by clearRect or by setting
   * its width, and not drawn on again, was seen to show for seconds what had been on it: Chromium under load gave back an
   * older of its buffers, so that a length that the reader had deleted, or an overlay switched off, stood there again.
   */
  clear(): void {
    if (!this.isBlank) this.renew(this.element.width, this.element.height);
  }

  draw(frame: Frame, masks: readonly Mask[], measures: readonly Measure[], say: (of: Measure) => string): void {
    if (!masks.length && !measures.length) return this.clear();
    this.isBlank = false;
    this.context.setTransform(1, 0, 0, 1, 0, 0);
    this.context.clearRect(0, 0, this.element.width, this.element.height);
    for (const mask of masks) this.drawMask(frame, mask);
    const ratio = window.devicePixelRatio || 1;
    this.context.setTransform(ratio, 0, 0, ratio, 0, 0);
    for (const measure of measures) this.drawMeasure(frame, measure, say(measure));
  }

  private renew(width: number, height: number): void {
    const fresh = canvasOf(width, height);
    this.element.replaceWith(fresh);
    this.element = fresh;
    this.context = contextOf(fresh);
    this.isBlank = true;
  }

  private drawMask(frame: Frame, mask: Mask): void {
    const ratio = window.devicePixelRatio || 1;
    const { columns, rows, image } = mask;
    const o = frame.at(-0.5, -0.5);
    const x = frame.at(columns - 0.5, -0.5);
    const y = frame.at(-0.5, rows - 0.5);
    this.context.setTransform(
      ((x.x - o.x) * ratio) / columns,
      ((x.y - o.y) * ratio) / columns,
      ((y.x - o.x) * ratio) / rows,
      ((y.y - o.y) * ratio) / rows,
      o.x * ratio,
      o.y * ratio,
    );
    this.context.imageSmoothingEnabled = false;
    this.context.drawImage(image, 0, 0);
  }

  private drawMeasure(frame: Frame, measure: Measure, said: string): void {
    const from = frame.at(measure.from.column, measure.from.row);
    const to = frame.at(measure.to.column, measure.to.row);
    const context = this.context;
    for (const [colour, width] of [["#000", 4], [LINE, 1.8]] as const) {
      context.strokeStyle = colour;
      context.lineWidth = width;
      context.beginPath();
      context.moveTo(from.x, from.y);
      context.lineTo(to.x, to.y);
      for (const end of [from, to]) {
        context.moveTo(end.x + 4, end.y);
        context.arc(end.x, end.y, 4, 0, 2 * Math.PI);
      }
      context.stroke();
    }
    context.font = "600 14px system-ui, sans-serif";
    context.lineWidth = 4;
    context.strokeStyle = "#000";
    context.fillStyle = LINE;
    context.strokeText(said, to.x + 10, to.y - 8);
    context.fillText(said, to.x + 10, to.y - 8);
  }
}

function canvasOf(width: number, height: number): HTMLCanvasElement {
  const canvas = document.createElement("canvas");
  canvas.className = "above";
  canvas.width = width;
  canvas.height = height;
  return canvas;
}

/** Drawn by the processor: a canvas of this kind was seen to show what had been cleared where the graphics card draws. */
function contextOf(canvas: HTMLCanvasElement): CanvasRenderingContext2D {
  return canvas.getContext("2d", { willReadFrequently: true }) as CanvasRenderingContext2D;
}
