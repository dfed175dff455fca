/** Lengths on an image, in millimetres only where the image says how large its pixels are. */
import { t } from "../i18n";
import type { Picture } from "./pictures";

/** A place in the image; the middle of its first pixel is 0, 0. */
export interface Point {
  column: number;
  row: number;
}

export interface Measure {
  imageId: string;
  from: Point;
  to: Point;
}

/** Say how long `measure` is. ImagerPixelSpacing is at the detector, so its length is named as that (PS3.3, 10.7.1.3). */
export function millimetres(measure: Measure, picture: Picture): string {
  const columns = measure.to.column - measure.from.column;
  const rows = measure.to.row - measure.from.row;
  const spacing = picture.pixelSpacing;
  if (!spacing) return `${Math.hypot(columns, rows).toFixed(0)} px`;
  const length = Math.hypot(columns * spacing.column, rows * spacing.row).toFixed(1);
  return spacing.isAtDetector ? `${length} mm ${t("picture.at_detector")}` : `${length} mm`;
}
