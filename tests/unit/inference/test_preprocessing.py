"""From files to a volume: right place, right value, or a plain reason why not."""

from collections.abc import Callable
from copy import deepcopy

import imagecodecs
import numpy as np
import pytest
from pydicom.dataset import FileDataset
from pydicom.encaps import encapsulate
from pydicom.uid import (
    UID,
    HTJ2KLossless,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
)

from overread.inference.preprocessing import PADDING_HU, UnreadableSeries
from tests.builders.imaging import a_phantom, file_bytes, read_volume


def _datasets(count: int = 4) -> list[FileDataset]:
    return [deepcopy(dataset) for dataset in a_phantom(slices=40, size=64).datasets[:count]]


def _reason(datasets: list[FileDataset]) -> str:
    with pytest.raises(UnreadableSeries) as unreadable:
        read_volume(file_bytes(dataset) for dataset in datasets)
    return str(unreadable.value)


def _compressed(dataset: FileDataset, syntax: str, encode: Callable[[np.ndarray], bytes]) -> FileDataset:
    pixels = np.frombuffer(dataset.PixelData, dtype="<u2").reshape(dataset.Rows, dataset.Columns)
    dataset.PixelData = encapsulate([encode(pixels)])
    dataset["PixelData"].is_undefined_length = True
    dataset.file_meta.TransferSyntaxUID = UID(syntax)
    return dataset


def test_slices_are_stacked_from_feet_to_head_whatever_their_order() -> None:
    """Place decides, never file order or InstanceNumber."""
    datasets = _datasets()

    in_order, shuffled = (
        read_volume(file_bytes(dataset) for dataset in order)
        for order in (datasets, [datasets[2], datasets[0], datasets[3], datasets[1]])
    )

    assert np.array_equal(in_order.voxels, shuffled.voxels)
    assert in_order.spacing_mm == shuffled.spacing_mm
    assert in_order.spacing_mm == pytest.approx((7.2, 6.25, 6.25))


def test_values_are_hounsfield_units_and_padding_is_marked() -> None:
    """Stored -2000 at intercept -1024 is -3024: no air, but no image."""
    volume = read_volume(file_bytes(dataset) for dataset in _datasets())

    assert volume.voxels.dtype == np.int16
    assert volume.voxels[0, 0, 0] == PADDING_HU
    assert volume.voxels[0, 32, 20] == pytest.approx(40, abs=80)


def test_padding_value_that_reads_as_air_is_air() -> None:
    """Some makers pad with 0 at intercept -1024; marking it would drop clipped lung too."""
    datasets = _datasets()
    for dataset in datasets:
        dataset.PixelPaddingValue = 24

    volume = read_volume(file_bytes(dataset) for dataset in datasets)

    assert (volume.voxels == -1000).any()


def test_rescale_slope_is_applied() -> None:
    """PS3.3, C.11.1: output = slope x stored + intercept."""
    datasets, doubled = _datasets(), _datasets()
    for dataset in doubled:
        dataset.RescaleSlope = 2

    once, twice = (read_volume(file_bytes(dataset) for dataset in order).voxels for order in (datasets, doubled))

    body = once[0, 32, 20]
    assert twice[0, 32, 20] == 2 * (body + 1024) - 1024


def test_unsigned_pixels_are_read_as_unsigned() -> None:
    """PixelRepresentation 0 (PS3.3, C.7.6.3.1.5)."""
    datasets = _datasets()
    expected = read_volume(file_bytes(dataset) for dataset in datasets).voxels
    for dataset in datasets:
        dataset.PixelRepresentation = 0
        dataset["PixelPaddingValue"].VR = "US"
        dataset.PixelPaddingValue = 0
        pixels = np.frombuffer(dataset.PixelData, dtype="<i2")
        dataset.PixelData = np.maximum(pixels, 0).astype("<u2").tobytes()

    read = read_volume(file_bytes(dataset) for dataset in datasets).voxels

    assert np.array_equal(read[:, 32], np.maximum(expected[:, 32], -1024))


@pytest.mark.parametrize(
    ("syntax", "encode"),
    [
        (JPEGLSLossless, imagecodecs.jpegls_encode),
        (JPEG2000Lossless, lambda pixels: imagecodecs.jpeg2k_encode(pixels, level=0, codecformat="j2k")),
        (HTJ2KLossless, imagecodecs.htj2k_encode),
        (JPEGLosslessSV1, lambda pixels: imagecodecs.ljpeg_encode(pixels, bitspersample=16)),
    ],
)
def test_lossless_syntax_gives_the_same_volume(syntax: str, encode: Callable[[np.ndarray], bytes]) -> None:
    """Compression must not be seen in a density, signed values and odd-length frames included."""
    expected = read_volume(file_bytes(dataset) for dataset in _datasets())

    volume = read_volume(file_bytes(_compressed(dataset, syntax, encode)) for dataset in _datasets())

    assert np.array_equal(volume.voxels, expected.voxels)


def test_rle_and_implicit_vr_give_the_same_volume() -> None:
    """The two syntaxes that pydicom decodes itself."""
    expected = read_volume(file_bytes(dataset) for dataset in _datasets())
    rle, implicit = _datasets(), _datasets()
    for dataset in rle:
        dataset.compress(RLELossless, generate_instance_uid=False)
    for dataset in implicit:
        dataset.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian

    volumes = [read_volume(file_bytes(dataset) for dataset in order).voxels for order in (rle, implicit)]

    assert all(np.array_equal(voxels, expected.voxels) for voxels in volumes)


def _set(index: int, **values: object) -> Callable[[list[FileDataset]], None]:
    def change(datasets: list[FileDataset]) -> None:
        for keyword, value in values.items():
            setattr(datasets[index], keyword, value)

    return change


def _delete(index: int, keyword: str) -> Callable[[list[FileDataset]], None]:
    return lambda datasets: delattr(datasets[index], keyword)


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (_set(3, ImagePositionPatient=[0, 0, 40]), "uneven"),
        (_set(3, ImagePositionPatient=[0, 0, 0]), "same place"),
        (_set(2, ImageOrientationPatient=[1, 0, 0, 0, 0, -1]), "parallel"),
        (_set(2, ImageOrientationPatient=[1, 0, 0, 1, 0, 0]), "not a valid one"),
        (_set(2, PixelSpacing=[1, 1]), "differ in size"),
        (_set(2, NumberOfFrames=2), "several frames"),
        (_set(2, Rows=65), "can't be decoded"),
        (_delete(1, "ImagePositionPatient"), "where it lies"),
        (_delete(1, "PixelSpacing"), "where it lies"),
        (_delete(1, "PixelData"), "can't be decoded"),
    ],
)
def test_faulty_series_is_refused_with_its_reason(fault: Callable[[list[FileDataset]], None], reason: str) -> None:
    """A volume is whole or it isn't one."""
    datasets = _datasets()
    fault(datasets)

    assert reason in _reason(datasets)


def test_slanted_stack_is_refused() -> None:
    """A tilted gantry shows as slices that slide sideways."""
    datasets = _datasets()
    for number, dataset in enumerate(datasets):
        dataset.ImagePositionPatient = [0, number * 2.0, number * 7.2]

    assert "slanted" in _reason(datasets)


def test_lossy_syntax_is_refused() -> None:
    """A lossy image has no exact density."""
    datasets = _datasets()
    datasets[0].file_meta.TransferSyntaxUID = JPEGBaseline8Bit

    assert "lossy" in _reason([_compressed(datasets[0], JPEGBaseline8Bit, lambda _: b"\xff\xd8\xff\xd9")])


def test_broken_frame_is_refused() -> None:
    """A codec's own error becomes ours."""
    datasets = [_compressed(dataset, JPEGLSLossless, lambda _: b"\xff\xd8 no image") for dataset in _datasets()]

    assert _reason(datasets) == "an image's pixels can't be decoded"


@pytest.mark.parametrize(
    "content", [b"", b"not a file", b"\0" * 128 + b"DICM", b"\0" * 128 + b"DICM\x02\x00\x10\x00UI"]
)
def test_bytes_that_are_no_image_are_refused(content: bytes) -> None:
    """Whatever lies in the store gets an answer in words."""
    with pytest.raises(UnreadableSeries):
        read_volume([content, content])


@pytest.mark.parametrize("count", [0, 1])
def test_one_image_is_no_volume(count: int) -> None:
    """There is no gap between one slice."""
    assert _reason(_datasets(count)) == "a volume needs two images or more"
