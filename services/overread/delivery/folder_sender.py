"""Files out to one folder that another system watches: whole or not at all, under a name that says which result it is."""

import asyncio
import errno
import json
from pathlib import Path

from overread.contracts import codec
from overread.contracts.errors import Unavailable
from overread.delivery.insurance_destination import InsuranceDestination
from overread.delivery.sending import Answer, NotTaken, Taken
from overread.delivery.store import OutboundRow, Why
from overread.protocols.insurance import xml4
from overread.runtime.synced_files import put_whole

READABLE_BY_THE_GROUP = 0o640
_NOT_NOW = frozenset(
    {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO, errno.ENOENT, errno.EACCES, errno.EPERM, errno.ENOTCONN}
    | {errno.ESTALE, errno.EHOSTDOWN, errno.ETIMEDOUT, errno.ENOTDIR}
)


class FolderChannel:
    """A folder that exists: it is never made, since an empty one in its place is a share that is not mounted."""

    def __init__(self, destination: InsuranceDestination) -> None:
        self._destination = destination

    @property
    def destination(self) -> str:
        """Return the destination's name."""
        return self._destination.name

    async def connect(self) -> None:
        """Raise `Unavailable` where the folder is not there."""
        if not await asyncio.to_thread(self._destination.folder.is_dir):
            raise Unavailable("the folder is not there")

    async def exchange(self, row: OutboundRow) -> Answer:
        """Put the file, then what it is beside it; the same file again is left as it is."""
        return await asyncio.to_thread(put, self._destination.folder, row)

    async def idle(self) -> None:
        """Hold nothing."""

    async def close(self) -> None:
        """Hold nothing."""


def put(folder: Path, row: OutboundRow) -> Answer:
    """Put the row's file into the folder, and after it `NAME.json`: who sees that one may take both."""
    path = folder / f"{row.message_control_id}.xml"
    try:
        if path.exists() and path.read_bytes() != row.message:
            return NotTaken(Why(reason="another file stands under that name"), is_content_fault=True)
        put_whole(path, row.message, mode=READABLE_BY_THE_GROUP)
        put_whole(path.with_suffix(".json"), manifest_of(row), mode=READABLE_BY_THE_GROUP)
    except OSError as error:
        if error.errno in _NOT_NOW:
            raise Unavailable(
                f"the folder takes no file: {errno.errorcode.get(error.errno or 0, 'OSError')}"
            ) from error
        raise
    return Taken()


def manifest_of(row: OutboundRow) -> bytes:
    """Return what a file is, for who takes it: which it replaces, its digest, and that the table is not checked."""
    head = xml4.head_of(row.message)
    said = {
        "file": f"{row.message_control_id}.xml",
        "sha256": codec.sha256(row.message),
        **head,
        "replaces": f"{head['replaces']}.xml" if head.get("replaces") else "",
    }
    return (json.dumps(said, ensure_ascii=False, indent=1, sort_keys=True) + "\n").encode()
