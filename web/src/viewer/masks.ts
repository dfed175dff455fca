/** What a model marked, as pictures that lie over the images. */

export interface Mask {
  columns: number;
  rows: number;
  image: HTMLCanvasElement;
}

/** Colours that colour-blind readers tell apart (Okabe, Ito), as red, green, blue. */
const COLOURS: readonly (readonly [number, number, number])[] = [
  [86, 180, 233],
  [230, 159, 0],
  [0, 190, 140],
  [240, 228, 66],
  [213, 94, 0],
  [204, 121, 167],
];
const INSIDE = 56;
const BORDER = 230;

/** Return the colour of a segment, as CSS names it. */
export function colourOf(segment: number): string {
  return `rgb(${rgb(segment).join(" ")})`;
}

/** Return the mask of one frame of labels: filled thinly, with a clear border; null where nothing is marked. */
export function maskOf(labels: Uint8Array, rows: number, columns: number): Mask | null {
  if (labels.length !== rows * columns || !labels.some((label) => label > 0)) return null;
  const image = document.createElement("canvas");
  image.width = columns;
  image.height = rows;
  const context = image.getContext("2d") as CanvasRenderingContext2D;
  const painted = context.createImageData(columns, rows);
  labels.forEach((label, at) => {
    if (!label) return;
    const isBorder = [at - 1, at + 1, at - columns, at + columns].some((beside) => labels[beside] !== label);
    painted.data.set([...rgb(label), isBorder ? BORDER : INSIDE], at * 4);
  });
  context.putImageData(painted, 0, 0);
  return { columns, rows, image };
}

function rgb(segment: number): readonly [number, number, number] {
  return COLOURS[(segment - 1) % COLOURS.length] ?? [86, 180, 233];
}
