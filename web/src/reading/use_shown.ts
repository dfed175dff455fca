/** Puts the chosen series on the stage. The viewer is a part of its own, loaded when the first case is opened. */
import { useEffect, useState } from "preact/hooks";
import type { Reading, Series } from "../shapes";
import type { Seen, Stage } from "../viewer/stage";

type Ref<T> = { current: T | null };

interface Shown {
  host: Ref<HTMLDivElement>;
  stage: Ref<Stage>;
  reading: Reading;
  series: Series | undefined;
  onSeen: (seen: Seen) => void;
}

/** Return whether the pictures of `series` are on screen. */
export function useShown({ host, stage, reading, series, onSeen }: Shown): boolean {
  const [shown, setShown] = useState("");
  const study = reading.images?.study_instance_uid ?? "";
  const uid = series?.series_instance_uid ?? "";
  const reportId = reading.report?.report_id ?? "";
  const basis = `${study}/${uid}/${reading.report?.report_revision ?? 0}`;
  useEffect(() => {
    if (!uid || !host.current) return;
    let isWanted = true;
    const show = async (on: HTMLDivElement) => {
      const viewer = await import("../viewer");
      if (!isWanted) return;
      stage.current = viewer.Stage.on(on);
      const store = new viewer.MaskStore(reportId, () => stage.current?.draw());
      const isMarked = reading.segmentations.some((each) => each.series_instance_uid === uid);
      stage.current.masks = store.masks;
      const order = series?.instances.map((instance) => instance.sop_instance_uid) ?? [];
      const pictures = await viewer.picturesOf(`/dicom-web/studies/${study}/series/${uid}`, order);
      if (isMarked) await store.learn(uid);
      if (!isWanted) return;
      const sops = pictures.map((picture) => picture.sopInstanceUid);
      stage.current.onSeen = (seen) => {
        onSeen(seen);
        void store.need(sops, seen.index);
      };
      await stage.current.show(pictures);
      if (isWanted) setShown(basis);
    };
    show(host.current).catch(() => {
      if (isWanted) onSeen({ index: 0, count: 0, window: null, zoom: 1, failed: true });
    });
    return () => {
      isWanted = false;
    };
  }, [basis]);
  useEffect(
    () => () => {
      stage.current?.leave();
      stage.current = null;
    },
    [],
  );
  return shown === basis;
}
