/** The images of a series, by our DICOMweb (WADO-RS; PS3.18, 10.4). */
import { wadors } from "@cornerstonejs/dicom-image-loader";
import { ask } from "../api";

type Attribute = { vr: string; Value?: unknown[] };
export type Metadata = Record<string, Attribute>;

export interface Picture {
  imageId: string;
  sopInstanceUid: string;
  pixelSpacing: { row: number; column: number; isAtDetector: boolean } | null;
  location: string;
}

/** Fetch the metadata of a series, and return its images in the order of `sops`; what has no pixels is left out. */
export async function picturesOf(seriesUrl: string, sops: readonly string[]): Promise<Picture[]> {
  const all = await ask<Metadata[]>("GET", `${seriesUrl}/metadata`);
  const known = new Map(all.map((instance) => [text(instance, "00080018"), instance]));
  return sops
    .map((sop) => known.get(sop))
    .filter((instance) => instance !== undefined)
    .filter((instance) => number(instance, "00280010") > 0)
    .flatMap((instance) => framesOf(seriesUrl, instance));
}

function framesOf(seriesUrl: string, instance: Metadata): Picture[] {
  const sopInstanceUid = text(instance, "00080018");
  const frames = Math.max(1, number(instance, "00280008"));
  return Array.from({ length: frames }, (_, n) => {
    const url = new URL(`${seriesUrl}/instances/${sopInstanceUid}/frames/${n + 1}`, location.origin);
    const imageId = `wadors:${url.href}`;
    wadors.metaDataManager.add(imageId, instance as never);
    return { imageId, sopInstanceUid, pixelSpacing: spacingOf(instance), location: text(instance, "00201041") };
  });
}

function spacingOf(instance: Metadata): Picture["pixelSpacing"] {
  for (const [tag, isAtDetector] of [["00280030", false], ["00181164", true]] as const) {
    const [row, column] = numbers(instance, tag);
    if (row && column) return { row, column, isAtDetector };
  }
  return null;
}

function numbers(instance: Metadata, tag: string): number[] {
  return (instance[tag]?.Value ?? []).map(Number);
}

function number(instance: Metadata, tag: string): number {
  return numbers(instance, tag)[0] ?? 0;
}

function text(instance: Metadata, tag: string): string {
  return String(instance[tag]?.Value?.[0] ?? "");
}
