/** One picture on screen: a Cornerstone3D stack viewport, with the overlay and the measures drawn above it. */
import {
  cache,
  Enums,
  imageLoader,
  init as initCore,
  RenderingEngine,
  type StackViewport,
} from "@cornerstonejs/core";
import { init as initLoader } from "@cornerstonejs/dicom-image-loader";
import { Canvas2d, type Frame } from "./canvas2d";
import type { Mask } from "./masks";
import { millimetres, type Measure, type Point } from "./measures";
import type { Preset, Window } from "./presets";
import type { Picture } from "./pictures";

const CACHE_BYTES = 768 * 1024 * 1024;
const PREFETCHED_AT_ONCE = 3;
const ENGINE = "reading";
const VIEWPORT = "picture";

/** What is on screen now; the words around the picture say it. */
export interface Seen {
  index: number;
  count: number;
  window: Window | null;
  zoom: number;
  failed: boolean;
}

let isReady = false;
let the: Stage | null = null;

function start(): void {
  if (isReady) return;
  initCore({ rendering: { webGlContextCount: 1 } } as Parameters<typeof initCore>[0]);
  initLoader({ maxWebWorkers: Math.max(1, Math.min(3, Math.floor((navigator.hardwareConcurrency || 2) / 2))) });
  cache.setMaxCacheSize(CACHE_BYTES);
  isReady = true;
}

export class Stage {
  private readonly engine: RenderingEngine;
  private readonly canvas = new Canvas2d();
  private pictures: readonly Picture[] = [];
  private shown = 0;
  private chosen: Window | null = null;
  private failed = false;
  masks: ReadonlyMap<string, readonly Mask[]> = new Map();
  isOverlayOn = true;
  measures: Measure[] = [];
  onSeen: (seen: Seen) => void = () => undefined;

  private readonly element = pixels();

  private constructor(host: HTMLElement) {
    start();
    this.mount(host);
    this.engine = new RenderingEngine(ENGINE);
    this.engine.enableElement({
      viewportId: VIEWPORT,
      type: Enums.ViewportType.STACK,
      element: this.element,
      defaultOptions: { background: [0, 0, 0] },
    });
    this.element.addEventListener(Enums.Events.IMAGE_RENDERED, () => this.draw());
    new ResizeObserver(() => this.resize()).observe(this.element);
  }

  /** Return the one stage of the page, on `host`: each new one would ask the browser for another WebGL context. */
  static on(host: HTMLElement): Stage {
    the ??= new Stage(host);
    the.mount(host);
    return the;
  }

  /** Leave the screen. Nothing of the last patient stays on it. */
  leave(): void {
    this.pictures = [];
    this.masks = new Map();
    this.measures = [];
    this.onSeen = () => undefined;
    this.canvas.clear();
    this.element.remove();
    this.canvas.element.remove();
  }

  /** Put a series on screen, beginning in its middle; the rest is fetched from there outwards. */
  async show(pictures: readonly Picture[], at = Math.floor((pictures.length - 1) / 2)): Promise<void> {
    this.pictures = pictures;
    this.measures = [];
    this.chosen = null;
    this.shown = at;
    this.failed = false;
    try {
      await this.viewport.setStack(pictures.map((picture) => picture.imageId), at);
    } catch {
      this.failed = true;
    }
    if (this.pictures !== pictures) return;
    this.viewport.resetCamera();
    this.viewport.render();
    this.tell();
    void this.prefetch(pictures, at);
  }

  /** Show the picture at `index`, or the nearest that there is. */
  async go(index: number): Promise<void> {
    const wanted = Math.max(0, Math.min(this.pictures.length - 1, index));
    if (wanted === this.shown || !this.pictures.length) return;
    this.shown = wanted;
    try {
      await this.viewport.setImageIdIndex(wanted);
      this.failed = false;
    } catch {
      this.failed = true;
    }
    if (this.chosen) this.window(this.chosen);
    this.tell();
  }

  step(by: number): Promise<void> {
    return this.go(this.shown + by);
  }

  /** Show grey values by `window`; null is what the image itself asks for. */
  window(window: Window | null): void {
    this.chosen = window;
    if (window) {
      this.viewport.setProperties({ voiRange: rangeOf(window) });
    } else {
      this.viewport.resetProperties();
    }
    this.viewport.render();
    this.tell();
  }

  /** Show grey values by a preset; some are scaled from what the image itself asks for. */
  preset(preset: Preset): void {
    this.window(null);
    const window = preset.of(this.windowNow());
    if (window) this.window(window);
  }

  /** Make the window wider and its centre higher, by a drag over so many pixels. */
  windowBy(dx: number, dy: number): void {
    const now = this.windowNow();
    if (!now) return;
    const speed = Math.max(now.width, 1) / 300;
    this.window({ centre: now.centre + dy * speed, width: Math.max(1, now.width + dx * speed) });
  }

  invert(): void {
    this.viewport.setProperties({ invert: !this.viewport.getProperties().invert });
    this.viewport.render();
  }

  zoomBy(factor: number): void {
    this.viewport.setZoom(Math.max(0.2, Math.min(20, this.viewport.getZoom() * factor)));
    this.viewport.render();
    this.tell();
  }

  panBy(dx: number, dy: number): void {
    const [x, y] = this.viewport.getPan();
    this.viewport.setPan([x + dx, y + dy]);
    this.viewport.render();
  }

  fit(): void {
    this.viewport.resetCamera();
    this.viewport.render();
    this.tell();
  }

  /** Return the place in the image (column, row) under a point of the element. */
  placeAt(x: number, y: number): Point {
    const { origin, direction, spacing } = this.viewport.getImageData();
    const world = this.viewport.canvasToWorld([x, y]);
    const along = (axis: number) =>
      [0, 1, 2].reduce(
        (sum, n) => sum + ((world[n] ?? 0) - (origin[n] ?? 0)) * (direction[axis * 3 + n] ?? 0),
        0,
      ) / (spacing[axis] ?? 1);
    return { column: along(0), row: along(1) };
  }

  /** Return where the middle of what is on screen lies in the image, for a measure that begins by keyboard. */
  middle(): Point {
    return this.placeAt(this.element.clientWidth / 2, this.element.clientHeight / 2);
  }

  get picture(): Picture | undefined {
    return this.pictures[this.shown];
  }

  /** Draw overlay and measures anew. */
  draw(): void {
    const picture = this.picture;
    const frame = picture && !this.failed ? this.frame() : null;
    if (!frame || !picture) return this.canvas.clear();
    const masks = this.isOverlayOn ? (this.masks.get(picture.sopInstanceUid) ?? []) : [];
    const measures = this.measures.filter((measure) => measure.imageId === picture.imageId);
    this.canvas.draw(frame, masks, measures, (measure) => millimetres(measure, picture));
  }

  private get viewport(): StackViewport {
    return this.engine.getViewport(VIEWPORT) as StackViewport;
  }

  private mount(host: HTMLElement): void {
    host.prepend(this.element, this.canvas.element);
  }

  private resize(): void {
    if (!this.element.clientWidth || !this.element.clientHeight) return;
    this.canvas.fill(this.element.clientWidth, this.element.clientHeight);
    this.engine.resize(true, true);
    this.draw();
  }

  private frame(): Frame {
    const { origin, direction, spacing } = this.viewport.getImageData();
    const at = (column: number, row: number) => {
      const world = [0, 1, 2].map(
        (n) =>
          (origin[n] ?? 0) +
          column * (spacing[0] ?? 1) * (direction[n] ?? 0) +
          row * (spacing[1] ?? 1) * (direction[3 + n] ?? 0),
      );
      const [x, y] = this.viewport.worldToCanvas(world as [number, number, number]);
      return { x, y };
    };
    return { at };
  }

  private windowNow(): Window | null {
    const range = this.viewport.getProperties().voiRange;
    return range ? { centre: (range.lower + range.upper + 1) / 2, width: range.upper - range.lower + 1 } : null;
  }

  private tell(): void {
    const window = this.failed ? null : this.windowNow();
    const zoom = this.failed ? 1 : this.viewport.getZoom();
    this.onSeen({ index: this.shown, count: this.pictures.length, window, zoom, failed: this.failed });
    if (this.failed) this.canvas.clear();
  }

  private async prefetch(pictures: readonly Picture[], from: number): Promise<void> {
    const order = pictures.map((_, n) => n).sort((a, b) => Math.abs(a - from) - Math.abs(b - from));
    const one = async () => {
      for (let n = order.shift(); n !== undefined && this.pictures === pictures; n = order.shift()) {
        const picture = pictures[n];
        if (picture) await imageLoader.loadAndCacheImage(picture.imageId, { requestType: Enums.RequestType.Prefetch, priority: 10 }).catch(() => undefined);
      }
    };
    await Promise.all(Array.from({ length: PREFETCHED_AT_ONCE }, one));
  }
}

function pixels(): HTMLDivElement {
  const element = document.createElement("div");
  element.className = "pixels";
  return element;
}

/** The values between which a window shows greys (PS3.3, C.11.2.1.2.1). */
function rangeOf({ centre, width }: Window): { lower: number; upper: number } {
  return { lower: centre - 0.5 - (width - 1) / 2, upper: centre - 0.5 + (width - 1) / 2 };
}
