"""RISs with a worklist on loopback: pynetdicom's SCP as a test wants it, DCMTK's wlmscpfs, Orthanc's plugin."""

import json
import os
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from pydicom.dataset import Dataset
from pynetdicom import AE, evt

from overread.protocols.dicom.modality_worklist import MODALITY_WORKLIST_FIND
from tests.fakes.archives import ORTHANC_PLACES, free_port, is_listening
from tests.fakes.peers import wait_until

Answer = Callable[[Any], Iterator[tuple[int, Dataset | None]]]
START_SECONDS = 30.0
WORKLIST_PLUGINS = ("/usr/share/orthanc/plugins/libModalityWorklists.so", "/usr/lib/orthanc/libModalityWorklists.so")


@dataclass
class Ris:
    """A worklist SCP; `answer` is what it does with a question, else it gives its items."""

    port: int = 0
    called_ae_title: str = "RIS"
    items: list[Dataset] = field(default_factory=list)
    answer: Answer | None = None
    asked: list[Dataset] = field(default_factory=list)
    cancelled: threading.Event = field(default_factory=threading.Event)

    def find(self, event: Any) -> Iterator[tuple[int, Dataset | None]]:
        """Answer one question."""
        self.asked.append(event.identifier)
        if self.answer is not None:
            yield from self.answer(event)
            return
        for item in self.items:
            if event.is_cancelled:
                self.cancelled.set()
                yield 0xFE00, None
                return
            yield 0xFF00, item


@contextmanager
def running_ris(items: Sequence[Dataset] = (), *, answer: Answer | None = None, tls: Any = None) -> Iterator[Ris]:
    """Run a RIS that knows only us and itself."""
    ris = Ris(items=list(items), answer=answer)
    entity = AE(ae_title=ris.called_ae_title)
    entity.require_called_aet = True
    entity.require_calling_aet = ["OVERREAD"]
    entity.add_supported_context(MODALITY_WORKLIST_FIND)
    server = entity.start_server(
        ("127.0.0.1", 0), block=False, evt_handlers=[(evt.EVT_C_FIND, ris.find)], ssl_context=tls
    )
    assert server is not None
    assert server.socket is not None
    ris.port = server.socket.getsockname()[1]
    try:
        yield ris
    finally:
        server.shutdown()


@contextmanager
def running_wlmscpfs(folder: Path, items: Sequence[Dataset]) -> Iterator[Ris]:
    """Run DCMTK's worklist server over files of `items`, or skip with a word."""
    program = shutil.which("wlmscpfs") or pytest.skip("no wlmscpfs here (Debian package dcmtk): it was not asked")
    ris = Ris(port=free_port(), items=list(items))
    place = folder / ris.called_ae_title
    place.mkdir()
    (place / "lockfile").touch()
    for number, item in enumerate(items):
        item.save_as(place / f"{number}.wl", implicit_vr=False, little_endian=True)
    words = [program, "-dfp", str(folder), str(ris.port)]
    environment = {**os.environ, "TCP_NODELAY": "1"}
    with (
        (folder / "wlmscpfs.log").open("ab") as output,
        subprocess.Popen(words, stdout=output, stderr=output, env=environment) as process,
    ):
        try:
            wait_until(lambda: is_listening(process, ris.port), "wlmscpfs", START_SECONDS)
            yield ris
        finally:
            process.kill()


@contextmanager
def running_orthanc_worklist(folder: Path, items: Sequence[Dataset]) -> Iterator[Ris]:
    """Run Orthanc with its worklist plugin over files of `items`, or skip with a word."""
    program = shutil.which("Orthanc", path=f"{os.environ.get('PATH', '')}:{ORTHANC_PLACES}")
    plugin = next((path for path in WORKLIST_PLUGINS if Path(path).exists()), None)
    if program is None or plugin is None:
        pytest.skip("no Orthanc with its worklist plugin here (Debian package orthanc): it was not asked")
    ris = Ris(port=free_port(), called_ae_title="RIS", items=list(items))
    place = folder / "worklists"
    place.mkdir()
    for number, item in enumerate(items):
        item.save_as(place / f"{number}.wl", implicit_vr=False, little_endian=True)
    settings = {
        "StorageDirectory": str(folder / "storage"),
        "IndexDirectory": str(folder / "storage"),
        "Plugins": [plugin],
        "Locale": "C",
        "DefaultEncoding": "Utf8",
        "HttpServerEnabled": False,
        "DicomPort": ris.port,
        "DicomAet": ris.called_ae_title,
        "DicomModalities": {"overread": ["OVERREAD", "127.0.0.1", 104]},
        "Worklists": {"Enable": True, "Database": str(place)},
    }
    (folder / "orthanc.json").write_text(json.dumps(settings), encoding="utf-8")
    with (
        (folder / "orthanc.log").open("ab") as output,
        subprocess.Popen([program, str(folder / "orthanc.json")], stdout=output, stderr=output) as process,
    ):
        try:
            wait_until(lambda: is_listening(process, ris.port), "Orthanc", START_SECONDS)
            yield ris
        finally:
            process.kill()
