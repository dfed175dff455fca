/** The images: series to the left, the picture in the middle, and what one may do with it above. */
import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import { decimal, t } from "../i18n";
import { useKeys } from "../keys";
import type { Reading, Series } from "../shapes";
import { presetsOf } from "../viewer/presets";
import { colourOf } from "../viewer/masks";
import type { Stage, Seen } from "../viewer/stage";
import { dragging, type Tool } from "./picture_drag";
import { pictureKeys } from "./picture_keys";
import { useShown } from "./use_shown";

const TOOLS: readonly Tool[] = ["window", "pan", "zoom", "measure"];
const NOTHING: Seen = { index: 0, count: 0, window: null, zoom: 1, failed: false };

export function PicturePane({ reading }: { reading: Reading }) {
  const host = useRef<HTMLDivElement>(null);
  const stage = useRef<Stage | null>(null);
  const [seen, setSeen] = useState<Seen>(NOTHING);
  const [tool, setTool] = useState<Tool>("window");
  const [isOverlayOn, setOverlay] = useState(true);
  const [chosen, setChosen] = useState(0);
  const all = reading.images?.series ?? [];
  const series = all[chosen] ?? all[0];
  useEffect(() => setChosen(firstOf(reading)), [reading.row.case_id]);
  const shown = useShown({ host, stage, reading, series, onSeen: setSeen });
  useLayoutEffect(() => {
    if (!stage.current) return;
    stage.current.isOverlayOn = isOverlayOn;
    stage.current.draw();
  }, [isOverlayOn, shown]);
  const presets = presetsOf(series?.modality ?? "");
  const other = (by: number) => setChosen((n) => Math.max(0, Math.min(all.length - 1, n + by)));
  const toggle = () => setOverlay((is) => !is);
  useKeys(pictureKeys({ stage, presets, onTool: setTool, onOverlay: toggle, onSeries: other }));
  const picture = stage.current?.picture;
  return (
    <section class="pictures" aria-label={t("picture.pane")}>
      <SeriesList all={all} chosen={series} onChoose={setChosen} />
      <div class="picture-column">
        <div class="tools" role="toolbar" aria-label={t("picture.tools")}>
          {TOOLS.map((each) => (
            <button key={each} aria-pressed={tool === each} onClick={() => setTool(each)}>
              {t(`tool.${each}`)}
            </button>
          ))}
          <span class="rule" />
          {presets.map((preset, n) => (
            <button key={preset.name} onClick={() => stage.current?.preset(preset)}>
              <kbd>{n + 1}</kbd> {t(preset.name)}
            </button>
          ))}
          <span class="rule" />
          <button onClick={() => stage.current?.fit()}>
            <kbd>0</kbd> {t("tool.fit")}
          </button>
          {reading.segmentations.length > 0 && (
            <button aria-pressed={isOverlayOn} onClick={toggle}>
              <kbd>o</kbd> {t("tool.overlay")}
            </button>
          )}
        </div>
        <div
          class={`picture tool-${tool}`}
          role="img"
          tabIndex={0}
          aria-label={t("picture.label", { n: seen.index + 1, of: seen.count })}
          data-shown={shown ? series?.series_instance_uid : ""}
          {...dragging(stage, tool)}
        >
          <div ref={host} class="host" />
          {seen.failed && <p class="picture-note">{t("picture.failed")}</p>}
          {!series && <p class="picture-note">{t("picture.none")}</p>}
          {series && !shown && !seen.failed && <p class="picture-note">{t("loading")}</p>}
          {shown && (
            <>
              <div class="corner top-left">
                {series?.modality} {series?.series_description}
                {picture?.location && <div>{t("picture.location", { mm: decimal(Number(picture.location).toFixed(1)) })}</div>}
              </div>
              <div class="corner bottom-left">
                {t("picture.of", { n: seen.index + 1, of: seen.count })}
              </div>
              <div class="corner bottom-right">
                {seen.window && `C ${seen.window.centre.toFixed(0)}  W ${seen.window.width.toFixed(0)}`}
                <div>{(seen.zoom * 100).toFixed(0)} %</div>
              </div>
            </>
          )}
          <Legend reading={reading} series={series} isOn={isOverlayOn && shown} />
        </div>
        <input
          class="scroll"
          type="range"
          min={1}
          max={Math.max(1, seen.count)}
          value={seen.index + 1}
          disabled={seen.count < 2}
          aria-label={t("picture.scroll")}
          onInput={(event) => void stage.current?.go(Number(event.currentTarget.value) - 1)}
        />
      </div>
    </section>
  );
}

/** The series that a model marked, else the one with most images. */
function firstOf(reading: Reading): number {
  const all = reading.images?.series ?? [];
  const marked = reading.segmentations[0]?.series_instance_uid;
  const found = all.findIndex((series) => series.series_instance_uid === marked);
  if (found >= 0) return found;
  const most = Math.max(...all.map((series) => series.instances.length));
  return Math.max(0, all.findIndex((series) => series.instances.length === most));
}

interface ListProps {
  all: Series[];
  chosen: Series | undefined;
  onChoose: (n: number) => void;
}

function SeriesList({ all, chosen, onChoose }: ListProps) {
  return (
    <ul class="series" aria-label={t("picture.series")}>
      {all.map((series, n) => (
        <li key={series.series_instance_uid}>
          <button aria-pressed={series === chosen} onClick={() => onChoose(n)}>
            <strong>{series.modality}</strong>
            <span>{series.series_description || t("picture.series_n", { n: series.series_number ?? n + 1 })}</span>
            <span class="quiet">{t("picture.images", { n: imagesOf(series) })}</span>
          </button>
        </li>
      ))}
    </ul>
  );
}

function imagesOf(series: Series): number {
  return series.instances.reduce((sum, instance) => sum + instance.number_of_frames, 0);
}

function Legend({ reading, series, isOn }: { reading: Reading; series: Series | undefined; isOn: boolean }) {
  const marked = reading.segmentations.filter((each) => each.series_instance_uid === series?.series_instance_uid);
  if (!isOn || !marked.length) return null;
  const isSigned = Boolean(reading.report?.document.signed_by);
  return (
    <div class="corner top-right legend">
      {marked.flatMap((each) =>
        each.segments.map((segment) => (
          <div key={`${each.index}/${segment.number}`}>
            <svg viewBox="0 0 10 10" aria-hidden="true">
              <rect width="10" height="10" rx="2" fill={colourOf(segment.number)} />
            </svg>
            <span lang="en">{segment.label}</span>
          </div>
        )),
      )}
      <div>{t(isSigned ? "overlay.by_ai" : "overlay.not_verified")}</div>
    </div>
  );
}
