"""The stored form of what a model outlined: a NumPy archive without pickles, as `contracts.events.inference` says."""

import zipfile
from io import BytesIO
from typing import Any

import numpy as np
from numpy.typing import NDArray

from overread.inference.preprocessing import Grid

_EPOCH = (1980, 1, 1, 0, 0, 0)  # the archive's own: no time may make two equal masks differ
_QUICK = 1  # a mask is nearly all zeros: more effort saves nothing


def segmentation_bytes(labels: NDArray[np.uint8], grid: Grid) -> bytes:
    """Return the archive of a mask that lies in the volume's axes, laid back on the images of the series."""
    arrays = {
        "labels": np.ascontiguousarray(grid.lay_back(labels)),
        "sop_instance_uids": np.array(grid.sop_instance_uids, dtype="U64"),
    }
    buffer = BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, values in arrays.items():
            entry = zipfile.ZipInfo(f"{name}.npy", _EPOCH)
            archive.writestr(entry, _npy(values), zipfile.ZIP_DEFLATED, _QUICK)
    return buffer.getvalue()


def _npy(values: NDArray[Any]) -> memoryview:
    buffer = BytesIO()
    np.lib.format.write_array(buffer, values, allow_pickle=False)
    return buffer.getbuffer()
