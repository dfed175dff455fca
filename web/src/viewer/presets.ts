/** Window presets on the keys 1 to 5, by modality. */
import type { Word } from "../i18n";

export interface Window {
  centre: number;
  width: number;
}

export interface Preset {
  name: Word;
  of: (first: Window | null) => Window | null;
}

const fixed = (name: Word, centre: number, width: number): Preset => ({ name, of: () => ({ centre, width }) });
const scaled = (name: Word, by: number): Preset => ({
  name,
  of: (first) => (first ? { centre: first.centre, width: first.width * by } : null),
});

const CT: readonly Preset[] = [
  fixed("preset.lung", -600, 1500),
  fixed("preset.soft_tissue", 40, 400),
  fixed("preset.bone", 400, 1800),
  fixed("preset.brain", 40, 80),
  { name: "preset.as_stored", of: () => null },
];

const OTHERS: readonly Preset[] = [
  { name: "preset.as_stored", of: () => null },
  scaled("preset.more_contrast", 0.6),
  scaled("preset.most_contrast", 0.35),
  scaled("preset.less_contrast", 1.6),
  scaled("preset.least_contrast", 2.5),
];

/** Return the five presets of a modality; CT's are in Hounsfield units. */
export function presetsOf(modality: string): readonly Preset[] {
  return modality === "CT" ? CT : OTHERS;
}
