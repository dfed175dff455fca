"""Write deepbet's two TorchScript networks as ONNX: a developer's step, done once for each release of deepbet.

    python3 inference/tools/convert_deepbet.py deepbet-1.0.2-py3-none-any.whl inference/model_repository/mr-brain-volume/1

Needs PyTorch (Debian's python3-torch is enough), which neither the product nor its tests have. Each network is run on
the same random volume before and after, and the largest difference is printed; onnxruntime is needed for that alone.
"""

import argparse
import hashlib
import io
import sys
import zipfile
from pathlib import Path

import torch  # type: ignore[import-not-found]  # a developer's own

NETWORKS = {"data/models/bbox_model.pt": "box.onnx", "data/models/model.pt": "mask.onnx"}
OPSET = 17
TRACED_SIDE, CHECKED_SIDE = 64, 96


def convert(wheel: Path, folder: Path) -> None:
    """Convert both networks of `wheel` into `folder`, with the licence that goes with them."""
    with zipfile.ZipFile(wheel) as package:
        for source, target in NETWORKS.items():
            network = torch.jit.load(io.BytesIO(package.read(source)), map_location="cpu").eval()
            _export(network, folder / target)
            _report(network, folder / target)
        licence = next(name for name in package.namelist() if name.endswith("dist-info/LICENSE"))
        (folder / "LICENSE.deepbet.txt").write_bytes(package.read(licence))


def _export(network: "torch.jit.ScriptModule", target: Path) -> None:
    """Name the three axes: an export of a fixed shape would accept that shape alone."""
    axes = {2: "depth", 3: "height", 4: "width"}
    torch.onnx.export(
        network,
        torch.rand(1, 1, TRACED_SIDE, TRACED_SIDE, TRACED_SIDE),
        str(target),
        opset_version=OPSET,
        input_names=["volume"],
        output_names=["probability"],
        dynamic_axes={"volume": axes, "probability": axes},
    )


def _report(network: "torch.jit.ScriptModule", target: Path) -> None:
    import onnxruntime  # type: ignore[import-not-found]  # noqa: PLC0415  # only for the comparison

    torch.manual_seed(1)
    volume = torch.rand(1, 1, CHECKED_SIDE, CHECKED_SIDE, CHECKED_SIDE)
    with torch.no_grad():
        before = network(volume).numpy()
    session = onnxruntime.InferenceSession(str(target), providers=["CPUExecutionProvider"])
    (after,) = session.run(None, {"volume": volume.numpy()})
    digest = hashlib.sha256(target.read_bytes()).hexdigest()
    sys.stdout.write(f"{target.name}: largest difference {abs(before - after).max():.1e}, SHA-256 {digest}\n")


def main() -> None:
    """Convert what the command line names."""
    parser = argparse.ArgumentParser(description="Convert deepbet's networks to ONNX.")
    parser.add_argument("wheel", type=Path)
    parser.add_argument("folder", type=Path)
    told = parser.parse_args()
    convert(told.wheel, told.folder)


if __name__ == "__main__":
    main()
