"""The file of links that we fetch orders from: `[[folder]]` and `[[worklist]]`, once for each, validated whole."""

import difflib
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from overread.contracts.errors import OverreadError
from overread.order_intake.columns import Codes, Columns
from overread.order_intake.folder_settings import FolderLink
from overread.order_intake.worklist_settings import WorklistLink

Source = FolderLink | WorklistLink
KINDS: Mapping[str, type[BaseModel]] = {"folder": FolderLink, "worklist": WorklistLink}
_INNER: Mapping[str, type[BaseModel]] = {"columns": Columns, "codes": Codes}


class SourcesRefused(OverreadError):
    """The links can't be used as they are written; the sentence says where and what to write."""


class _SourceFile(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    folder: tuple[FolderLink, ...] = ()
    worklist: tuple[WorklistLink, ...] = ()


def load(file: Path) -> tuple[Source, ...]:
    """Return the links of `file`, or raise `SourcesRefused`; blocking."""
    return parse(_text_of(file), file)


def _text_of(file: Path) -> str:
    """Read the file; the mark that some editors put before a text in UTF-8 is no part of it."""
    try:
        return file.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        fault = "there is no such file: mend its name"
    except IsADirectoryError:
        fault = "it is a folder: name the file in it"
    except UnicodeDecodeError:
        fault = "it is not in UTF-8: save it as UTF-8 in your editor"
    except OSError as error:
        fault = f"it can't be read ({error.strerror}): who runs this must be allowed to read it"
    raise SourcesRefused(f"{file}: {fault}")


def parse(text: str, file: Path) -> tuple[Source, ...]:
    """Return the links that `text` lists, folders first, or raise `SourcesRefused` with the first rule it breaks."""
    try:
        written = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise SourcesRefused(f"{file} is no TOML: {error}") from error
    try:
        found = _SourceFile.model_validate(written)
    except ValidationError as error:
        raise SourcesRefused(f"{file}, {_fault(error, written)}") from error
    sources: tuple[Source, ...] = (*found.folder, *found.worklist)
    if fault := _contradiction(sources):
        raise SourcesRefused(f"{file}, {fault}")
    return sources


def _contradiction(sources: Sequence[Source]) -> str | None:
    """Return what two links say against each other."""
    names: set[str] = set()
    folders: dict[Path, str] = {}
    for source in sources:
        if source.link_id in names:
            return f"link {source.link_id}, link_id: two links have it; write another name for one of them"
        names.add(source.link_id)
        if isinstance(source, FolderLink):
            if not source.folder.is_absolute():
                return f"link {source.link_id}, folder: write the whole path, from /"
            other = folders.setdefault(source.folder, source.link_id)
            if other != source.link_id:
                return f"link {source.link_id}, folder: link {other} has it; each link needs a folder of its own"
    return None


def _fault(error: ValidationError, written: Mapping[str, Any]) -> str:
    """Say the first fault in one sentence, and how many more there are."""
    faults = error.errors(include_url=False, include_input=False)
    more = f" (and {len(faults) - 1} more)" if len(faults) > 1 else ""
    return _sentence(faults[0], written) + more


def _sentence(fault: Any, written: Mapping[str, Any]) -> str:
    kind, *place = [str(part) for part in fault["loc"]]
    if kind not in KINDS:
        return f"{kind}: there is no such table; write [[folder]] or [[worklist]]"
    if not place:
        return f"{kind}: it is one table; write [[{kind}]] with two brackets on each side"
    table = written[kind][int(place[0])]
    link_id = table.get("link_id") if isinstance(table, Mapping) else None
    name = f"link {link_id}" if isinstance(link_id, str) else f"{kind} number {int(place[0]) + 1}"
    setting = place[1:]
    if fault["type"] == "extra_forbidden":
        return f"{name}, {'.'.join(setting)}: there is no such setting; {_nearest(kind, setting)}"
    match fault["type"], setting:
        case "missing", ["columns", column]:
            return f"{name}, columns: name the column of {column}"
        case "missing", _:
            said = "it is missing"
        case _:
            said = fault["msg"].removeprefix("Value error, ")
    what = f", {'.'.join(setting)}" if setting else ""
    return f"{name}{what}: {said}{_example(kind, setting)}"


def _nearest(kind: str, setting: Sequence[str]) -> str:
    model = _INNER.get(setting[0], KINDS[kind]) if len(setting) > 1 else KINDS[kind]
    near = difflib.get_close_matches(setting[-1], model.model_fields, 1)
    return f"write {near[0]}" if near else "leave it out"


def _example(kind: str, setting: Sequence[str]) -> str:
    field = KINDS[kind].model_fields.get(setting[0]) if len(setting) == 1 else None
    return f"; write for example {setting[0]} = {_toml(field.examples[0])}" if field and field.examples else ""


def _toml(value: object) -> str:
    return str(value) if isinstance(value, int | float) else f'"{value}"'
