/** The masks of a series, fetched as they are needed: the image on screen first, then its neighbours. */
import { ask, bytesOf } from "../api";
import type { MarkedSegmentation } from "../shapes";
import { type Mask, maskOf } from "./masks";

const NEIGHBOURS = 6;

export class MaskStore {
  readonly masks = new Map<string, Mask[]>();
  private readonly asked = new Set<string>();

  private segmentations: readonly MarkedSegmentation[] = [];

  constructor(
    private readonly reportId: string,
    private readonly onMask: () => void,
  ) {}

  /** Learn what is marked in a series. */
  async learn(seriesInstanceUid: string): Promise<void> {
    const path = `/api/v1/reports/${this.reportId}/segmentations`;
    const { items } = await ask<{ items: MarkedSegmentation[] }>("GET", path).catch(() => ({ items: [] }));
    this.segmentations = items.filter((each) => each.series_instance_uid === seriesInstanceUid);
  }

  /** Fetch what is marked on the image at `index` of `sops` and on those around it. */
  async need(sops: readonly string[], index: number): Promise<void> {
    const near = sops.map((sop, n) => ({ sop, far: Math.abs(n - index) })).filter(({ far }) => far <= NEIGHBOURS);
    near.sort((a, b) => a.far - b.far);
    for (const { sop } of near) await this.fetch(sop);
  }

  private async fetch(sop: string): Promise<void> {
    if (this.asked.has(sop)) return;
    this.asked.add(sop);
    const marked = this.segmentations.filter((each) => each.sop_instance_uids.includes(sop));
    const found = await Promise.all(marked.map((each) => this.one(each, sop)));
    const masks = found.filter((mask) => mask !== null);
    if (!masks.length) return;
    this.masks.set(sop, masks);
    this.onMask();
  }

  private async one(of: MarkedSegmentation, sop: string): Promise<Mask | null> {
    const path = `/api/v1/reports/${this.reportId}/segmentations/${of.index}/frames/${sop}`;
    const labels = await bytesOf(path).catch(() => null);
    return labels && of.rows && of.columns ? maskOf(labels, of.rows, of.columns) : null;
  }
}
