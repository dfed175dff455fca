"""May this model speak on this series? Decided from header values alone, before a single pixel is read."""

import math
import re
import statistics
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from itertools import pairwise
from typing import TypeVar

from overread.contracts.events.intake import InstanceAttributes
from overread.inference.catalog import Accepts, Model, MrSequence

DECODABLE_TRANSFER_SYNTAXES = frozenset(
    {
        "1.2.840.10008.1.2",  # Implicit VR Little Endian
        "1.2.840.10008.1.2.1",  # Explicit VR Little Endian
        "1.2.840.10008.1.2.1.99",  # Deflated Explicit VR Little Endian
        "1.2.840.10008.1.2.2",  # Explicit VR Big Endian
        "1.2.840.10008.1.2.5",  # RLE Lossless
        "1.2.840.10008.1.2.4.57",  # JPEG Lossless
        "1.2.840.10008.1.2.4.70",  # JPEG Lossless SV1
        "1.2.840.10008.1.2.4.80",  # JPEG-LS Lossless
        "1.2.840.10008.1.2.4.90",  # JPEG 2000 Lossless
        "1.2.840.10008.1.2.4.201",  # HTJ2K Lossless
        "1.2.840.10008.1.2.4.202",  # HTJ2K Lossless RPCL
    }
)
"""Lossless ones that `preprocessing` reads; a lossy image has no exact density (PS3.5, A.4)."""

SLANT_MAXIMUM_DEGREES = 0.5
"""A stack that leans by more is no right-angled grid, whatever the model."""

Vector = tuple[float, float, float]
Orientation = tuple[float, float, float, float, float, float]


@dataclass(frozen=True, kw_only=True)
class SeriesSummary:
    """What the headers of a series say together; `None` or empty when they say nothing."""

    series_instance_uid: str
    series_number: int | None = None
    modality: str | None = None
    body_part_examined: str | None = None
    study_description: str | None = None
    series_description: str | None = None
    image_type: tuple[str, ...] = ()
    convolution_kernels: tuple[str, ...] = ()
    manufacturer: str | None = None
    positions: tuple[Vector | None, ...] = ()
    orientations: tuple[Orientation, ...] = ()
    pixel_spacings: tuple[tuple[float, float], ...] = ()
    sizes: tuple[tuple[int | None, int | None], ...] = ()
    gantry_tilt_degrees: float | None = None
    contrast_agent: str | None = None
    protocol_name: str | None = None
    sequence_name: str | None = None
    mr_acquisition_type: str | None = None
    echo_times_ms: tuple[float, ...] = ()
    patient_age_years: int | None = None
    patient_sex: str | None = None
    number_of_frames: int = 1
    burned_in_annotation: str | None = None
    transfer_syntaxes: frozenset[str] = frozenset()

    @property
    def number_of_instances(self) -> int:
        """How many images the series has."""
        return len(self.positions)


@dataclass(frozen=True)
class Applicable:
    """The model may be asked about this series."""

    series_instance_uid: str


@dataclass(frozen=True)
class NotApplicable:
    """The images are not of the kind that the model reads."""

    reasons: tuple[str, ...]


@dataclass(frozen=True)
class Withheld:
    """The images are of the right kind, but a guard forbids the model to speak on them."""

    reasons: tuple[str, ...]
    series_instance_uid: str = ""


T = TypeVar("T")
Verdict = Applicable | NotApplicable | Withheld


def summarise(instances: Sequence[tuple[InstanceAttributes, str]]) -> SeriesSummary:
    """Fold the headers of one series, each with its transfer syntax, into one summary; what differs is kept apart."""
    headers = [attributes for attributes, _ in instances]
    first = headers[0]
    tilts = [abs(header.gantry_detector_tilt) for header in headers if header.gantry_detector_tilt is not None]
    return SeriesSummary(
        series_instance_uid=first.series_instance_uid,
        series_number=first.series_number,
        modality=first.modality,
        body_part_examined=first.body_part_examined,
        study_description=first.study_description,
        series_description=first.series_description,
        image_type=_image_type(headers),
        convolution_kernels=_distinct(header.convolution_kernel[0] for header in headers if header.convolution_kernel),
        manufacturer=first.manufacturer,
        positions=tuple(header.image_position_patient for header in headers),
        orientations=_distinct(header.image_orientation_patient for header in headers),
        pixel_spacings=_distinct(header.pixel_spacing for header in headers),
        sizes=_distinct((header.rows, header.columns) for header in headers),
        gantry_tilt_degrees=max(tilts, default=None),
        contrast_agent=next((header.contrast_bolus_agent for header in headers if header.contrast_bolus_agent), None),
        protocol_name=first.protocol_name,
        sequence_name=first.sequence_name,
        mr_acquisition_type=first.mr_acquisition_type,
        echo_times_ms=_distinct(header.echo_time for header in headers),
        patient_age_years=first.patient_age_years,
        patient_sex=first.patient_sex,
        number_of_frames=max((header.number_of_frames or 1) for header in headers),
        burned_in_annotation="YES" if any(header.burned_in_annotation == "YES" for header in headers) else None,
        transfer_syntaxes=frozenset(syntax for _, syntax in instances),
    )


def judge(model: Model, series: SeriesSummary) -> Verdict:
    """Say whether `model` may be asked about `series`, with every reason if not."""
    if reasons := tuple(_foreign(model.accepts, series)):
        return NotApplicable(reasons)
    if reasons := tuple(_guarded(model.accepts, series)):
        return Withheld(reasons, series.series_instance_uid)
    return Applicable(series.series_instance_uid)


def judge_study(model: Model, study: Sequence[SeriesSummary], *, patient_age_years: int | None = None) -> Verdict:
    """Choose the series on which to ask `model`: the finest applicable one; else say why not.

    `patient_age_years` fills in for headers without an age, from the order or the birth date.
    """
    judged = [(series, judge(model, _aged(series, patient_age_years))) for series in sorted(study, key=_preference)]
    for kind in (Applicable, Withheld):
        if chosen := next((verdict for _, verdict in judged if isinstance(verdict, kind)), None):
            return chosen
    reasons = [reason for _, verdict in judged if isinstance(verdict, NotApplicable) for reason in verdict.reasons]
    return NotApplicable(_distinct(reasons) or ("the study has no series",))


def _aged(series: SeriesSummary, patient_age_years: int | None) -> SeriesSummary:
    return series if series.patient_age_years is not None else replace(series, patient_age_years=patient_age_years)


def _preference(series: SeriesSummary) -> tuple[float, int, str]:
    """Finest gap first, then the lowest series number, so that the choice never depends on the order of arrival."""
    gaps = _gaps(series)
    gap = round(statistics.median(gaps), 2) if gaps else math.inf
    return gap, series.series_number or 0, series.series_instance_uid


def _foreign(accepts: Accepts, series: SeriesSummary) -> Iterable[str]:
    if series.modality not in accepts.modalities:
        yield f"modality {series.modality or 'not given'}, expected {' or '.join(sorted(accepts.modalities))}"
    elif not _mentions(_descriptions(series), accepts.body_part_words):
        yield "neither body part nor description names what the model reads"
    elif "LOCALIZER" in series.image_type:
        yield "the series is a localizer"
    elif accepts.mr_sequence is not None:
        yield from _other_sequence(accepts.mr_sequence, series)


def _other_sequence(wanted: MrSequence, series: SeriesSummary) -> Iterable[str]:
    """Judge by how a series is named: its own description, the protocol and the maker's name of the sequence."""
    named = " ".join(part for part in (series.series_description, series.protocol_name, series.sequence_name) if part)
    if other := next((word for word in wanted.other_words if _mentions(named, (word,))), None):
        yield f"the series is named as another sequence, {other}"
    elif not _mentions(named, wanted.words):
        yield f"neither sequence, protocol nor description names a {wanted.weighting} sequence"


def _guarded(accepts: Accepts, series: SeriesSummary) -> Iterable[str]:
    yield from _image_guards(accepts, series)
    yield from _patient_guards(accepts, series)
    yield from _acquisition_guards(accepts, series)
    yield from _geometry_guards(accepts, series)


def _image_guards(accepts: Accepts, series: SeriesSummary) -> Iterable[str]:
    if series.image_type[: len(accepts.image_type)] != accepts.image_type:
        yield f"image type is not {', '.join(accepts.image_type)}"
    if series.number_of_frames > 1:
        yield "multi-frame images are not read"
    if unread := series.transfer_syntaxes - DECODABLE_TRANSFER_SYNTAXES:
        yield f"transfer syntax {min(unread)} is lossy or not read"
    if series.burned_in_annotation == "YES":
        yield "text is burnt into the pixels"


def _patient_guards(accepts: Accepts, series: SeriesSummary) -> Iterable[str]:
    if series.patient_age_years is None:
        yield "the patient's age is not known"
    elif series.patient_age_years not in accepts.age_years:
        yield f"the patient's age is outside {accepts.age_years.minimum:g} to {accepts.age_years.maximum:g} years"


def _acquisition_guards(accepts: Accepts, series: SeriesSummary) -> Iterable[str]:
    if series.contrast_agent:
        yield "a contrast agent was given"
    elif _mentions(_descriptions(series), accepts.contrast_words):
        yield "the description speaks of contrast"
    if accepts.soft_kernels is not None:
        yield from _kernel_guards(accepts.soft_kernels, series)
    if accepts.mr_sequence is not None:
        yield from _sequence_guards(accepts.mr_sequence, series)


def _kernel_guards(soft_kernels: Mapping[str, frozenset[str]], series: SeriesSummary) -> Iterable[str]:
    if len(series.convolution_kernels) != 1:
        yield "the convolution kernel is not given or not the same in all images"
    elif series.convolution_kernels[0].upper() not in _soft_of(soft_kernels, series.manufacturer):
        yield f"convolution kernel {series.convolution_kernels[0]} is not on the list of soft kernels for its maker"


def _sequence_guards(wanted: MrSequence, series: SeriesSummary) -> Iterable[str]:
    if series.mr_acquisition_type != wanted.acquisition_type:
        yield f"the images were not acquired in {wanted.acquisition_type}"
    if len(series.echo_times_ms) != 1:
        yield "the echo time is not given or not the same in all images"
    elif series.echo_times_ms[0] not in wanted.echo_time_ms:
        yield f"an echo time of {series.echo_times_ms[0]:g} ms is not that of a {wanted.weighting} sequence"


def _geometry_guards(accepts: Accepts, series: SeriesSummary) -> Iterable[str]:
    if series.number_of_instances not in accepts.slices:
        yield f"{series.number_of_instances} slices, expected {accepts.slices.minimum:g} to {accepts.slices.maximum:g}"
    if max(len(series.sizes), len(series.pixel_spacings), len(series.orientations)) != 1 or not _is_placed(series):
        yield "the images differ in size, spacing or orientation, or don't say where they lie"
        return
    yield from _tilt_guards(accepts, series)
    sides = [side for spacing in series.pixel_spacings for side in spacing]
    if accepts.pixel_spacing_mm is not None and any(side not in accepts.pixel_spacing_mm for side in sides):
        yield f"a pixel spacing of {max(sides):.2f} mm is outside the accepted range"
    yield from _gap_guards(accepts, _gaps(series))


def _tilt_guards(accepts: Accepts, series: SeriesSummary) -> Iterable[str]:
    """Refuse what is tilted against the body's axis where the model minds, and a slanted stack always."""
    slant = _slant_degrees(series)
    if accepts.gantry_tilt_maximum_degrees is None:
        if slant > SLANT_MAXIMUM_DEGREES:
            yield f"the stack of slices is slanted by {slant:.1f} degrees"
        return
    tilt = max(series.gantry_tilt_degrees or 0.0, slant, _lean_degrees(series))
    if tilt > accepts.gantry_tilt_maximum_degrees:
        yield f"the gantry or the planes are tilted by {tilt:.1f} degrees"


def _gap_guards(accepts: Accepts, gaps: Sequence[float]) -> Iterable[str]:
    if not gaps:
        return
    if max(gaps) - min(gaps) > accepts.slice_gap_tolerance_mm:
        yield f"the gaps between slices are uneven, {min(gaps):.2f} to {max(gaps):.2f} mm"
    elif statistics.median(gaps) not in accepts.slice_gap_mm:
        yield f"a gap of {statistics.median(gaps):.2f} mm between slices is outside the accepted range"
    elif len(gaps) + 1 in accepts.slices and sum(gaps) not in accepts.length_mm:
        yield f"the series covers {sum(gaps):.0f} mm, outside the accepted range"


def _is_placed(series: SeriesSummary) -> bool:
    return bool(series.pixel_spacings and series.orientations) and None not in series.positions


def _gaps(series: SeriesSummary) -> list[float]:
    """Distances between neighbouring slices along their normal, in mm; none when the geometry is not given."""
    if not _is_placed(series) or len(series.orientations) != 1:
        return []
    normal = _normal(series.orientations[0])
    places = sorted(_along(at, normal) for at in series.positions if at is not None)
    return [after - before for before, after in pairwise(places)]


def _lean_degrees(series: SeriesSummary) -> float:
    """Return by how much the planes lean against the body's axis (PS3.3, C.7.6.2.1.1)."""
    return _degrees(abs(_normal(series.orientations[0])[2]))


def _slant_degrees(series: SeriesSummary) -> float:
    """Return by how much the stack leans against the planes' normal: so a tilted gantry shows if its angle is not given."""
    normal = _normal(series.orientations[0])
    placed = sorted((at for at in series.positions if at is not None), key=lambda at: _along(at, normal))
    (a, b, c), (x, y, z) = placed[0], placed[-1]
    step = (x - a, y - b, z - c)
    length = math.hypot(*step)
    return _degrees(abs(_along(step, normal)) / length) if length else 0.0


def _degrees(cosine: float) -> float:
    return math.degrees(math.acos(min(1.0, cosine)))


def _along(place: Vector, normal: Vector) -> float:
    return sum(a * b for a, b in zip(place, normal, strict=True))


def _normal(orientation: Orientation) -> Vector:
    a, b, c, d, e, f = orientation
    return b * f - c * e, c * d - a * f, a * e - b * d


def _soft_of(soft_kernels: Mapping[str, frozenset[str]], manufacturer: str | None) -> frozenset[str]:
    maker = (manufacturer or "").upper()
    lists = [kernels for name, kernels in soft_kernels.items() if maker.startswith(name.upper())]
    return frozenset(kernel.upper() for kernels in lists for kernel in kernels)


def _descriptions(series: SeriesSummary) -> str:
    parts = (series.body_part_examined, series.study_description, series.series_description)
    return " ".join(part for part in parts if part)


def _mentions(text: str, words: Iterable[str]) -> bool:
    """Whether `text` has one of `words` as whole words, as written or with its diacritics folded away."""
    as_written, folded = f" {_plain(text)} ", f" {_plain(_fold(text))} "
    return any(f" {_plain(word)} " in as_written or f" {_plain(word)} " in folded for word in words)


@cache
def _plain(text: str) -> str:
    return " ".join(re.findall(r"\w+", unicodedata.normalize("NFC", text).casefold().replace("_", " ")))


def _fold(text: str) -> str:
    decomposed = unicodedata.normalize("NFD", text.replace("đ", "d").replace("Đ", "D"))
    return "".join(character for character in decomposed if not unicodedata.combining(character))


def _image_type(headers: Sequence[InstanceAttributes]) -> tuple[str, ...]:
    """Return the images' common type, or `MIXED`, which no model accepts."""
    types = sorted({header.image_type for header in headers}, key=len)
    return types[0] if len({kind[:3] for kind in types}) == 1 else ("MIXED",)


def _distinct(values: Iterable[T | None]) -> tuple[T, ...]:
    return tuple(dict.fromkeys(value for value in values if value is not None))
