/** The canvas above the picture: masks of models, and lengths that the reader measured. */
import type { Mask } from "./masks";
import type { Measure } from "./measures";

/** Where a place of the image (column, row) lies on the canvas. */
export interface Frame {
  at(column: number, row: number): { x: number; y: number };
}

const LINE = "#ffd479";

export class Canvas2d {
  constructor(private readonly canvas: HTMLCanvasElement) {}

  /** Make the canvas as large as the picture. */
  fill(width: number, height: number): void {
    const ratio = window.devicePixelRatio || 1;
    this.canvas.width = Math.round(width * ratio);
    this.canvas.height = Math.round(height * ratio);
  }

  clear(): void {
    this.context.setTransform(1, 0, 0, 1, 0, 0);
    this.context.clearRect(0, 0, this.canvas.width, this.canvas.height);
  }

  draw(frame: Frame, masks: readonly Mask[], measures: readonly Measure[], say: (of: Measure) => string): void {
    this.clear();
    for (const mask of masks) this.drawMask(frame, mask);
    const ratio = window.devicePixelRatio || 1;
    this.context.setTransform(ratio, 0, 0, ratio, 0, 0);
    for (const measure of measures) this.drawMeasure(frame, measure, say(measure));
  }

  private get context(): CanvasRenderingContext2D {
    // Drawn by the processor: a canvas of this kind was seen to show what had been cleared where the graphics card draws.
    return this.canvas.getContext("2d", { willReadFrequently: true }) as CanvasRenderingContext2D;
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
