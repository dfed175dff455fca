"""`overread desk show`, `attach`, `detach`, `keep-apart`, `dismiss`, `undo`: what a reconciler sees and decides."""

import argparse
import sys
from typing import Any
from uuid import UUID

from overread.cli import api_client
from overread.cli.api_client import ApiRefused
from overread.cli.desk_words import why
from overread.cli.hospital_time import said
from overread.contracts.errors import OverreadError

PAIR_DEEDS = {
    "attach": "the order is the study's, whatever the numbers say",
    "detach": "the order is the study's no longer; what was sent under it is taken back",
    "keep-apart": "the order is never the study's",
}
NOT_SAID = "-"


def add_to(actions: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the commands that need a reconciler's sign-in."""
    show = actions.add_parser("show", help="a case with the orders that may be its, or with one order side by side")
    show.add_argument("case_id", help="the case, or with --order-first the order, as `list` prints it")
    show.add_argument("order_id", nargs="?", help="one order, side by side with the case")
    show.add_argument("--order-first", action="store_true", help="the id is an order's: show studies that may be its")
    show.set_defaults(run=run_show)
    for deed, means in PAIR_DEEDS.items():
        parser = actions.add_parser(deed, help=means)
        parser.add_argument("case_id")
        parser.add_argument("order_id")
        parser.add_argument("--seen", metavar="VERSION", help="as `show` printed it; left out: as things are now")
        parser.set_defaults(run=run_decide, deed=deed.replace("-", "_"))
        if deed == "attach":
            _add_one_patient(parser)
    dismiss = actions.add_parser("dismiss", help="an entry of the desk needs nobody")
    dismiss.add_argument("subject", help="as `list` prints it")
    dismiss.set_defaults(run=run_dismiss)
    undo = actions.add_parser("undo", help="a decision holds no more")
    undo.add_argument("decision_id")
    _add_one_patient(undo)
    undo.set_defaults(run=run_undo)
    for name, parser in actions.choices.items():
        parser.add_argument("--user", default="reconciler", metavar="NAME", help="who decides (default: reconciler)")
        if name != "show":
            parser.add_argument("--reason", default="", help="why, without a patient's name")


def _add_one_patient(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--one-patient", action="store_true", help="I state that both are one patient")


def run_show(told: argparse.Namespace) -> int:
    """Print one side with its candidates, or both sides."""
    _must_be_ids(told.case_id, told.order_id)
    desk = _Desk(told.user)
    if told.order_id:
        _print_pair(desk.pair(told.case_id, told.order_id))
        return 0
    found = desk.get(f"orders/{told.case_id}" if told.order_first else f"cases/{told.case_id}")
    for one in found["candidates"]:
        side = one["order"] or one["study"]
        numbers = [side["accession_number"]] if one["order"] else side["accession_numbers"]
        which = side["order_id"] if one["order"] else side["case_id"]
        marks = " attached" * one["is_linked"] + " kept apart" * one["is_kept_apart"]
        reasons = ", ".join(why(reason) for reason in one["reasons"])
        sys.stdout.write(f"{one['score']:3}  {which}  {' '.join(numbers) or NOT_SAID}{marks}  {reasons}\n")
    if not found["candidates"]:
        sys.stderr.write("nothing like it was found\n")
    return 0


def run_decide(told: argparse.Namespace) -> int:
    """Decide about a pair as it is now, or as it was shown."""
    _must_be_ids(told.case_id, told.order_id)
    desk = _Desk(told.user)
    version = told.seen or desk.pair(told.case_id, told.order_id)["version"]
    kept = desk.post(
        "decisions",
        {
            "kind": told.deed,
            "case_id": told.case_id,
            "order_id": told.order_id,
            "version": version,
            "reason": told.reason,
            "despite_conflict": getattr(told, "one_patient", False),
        },
    )
    return _print_kept(kept)


def run_dismiss(told: argparse.Namespace) -> int:
    """Dismiss the entry of that subject, wherever it lies."""
    desk = _Desk(told.user)
    entry = next((one for one in desk.entries() if one["subject"] == told.subject), None)
    if entry is None:
        raise ApiRefused("no such entry lies on the desk")
    is_missing_something = entry["kind"] in {"no_order", "no_images"}
    body = {
        "kind": entry["kind"],
        "subject": entry["subject"],
        "case_id": None if is_missing_something else entry["case_id"],
        "entry_reason": entry["reason"],
        "version": entry["version"],
        "reason": told.reason,
    }
    return _print_kept(desk.post("dismissals", body))


def run_undo(told: argparse.Namespace) -> int:
    """Undo one decision."""
    desk = _Desk(told.user)
    decided = desk.decision(told.decision_id)
    pair = desk.pair(decided["case_id"], decided["order_id"]) if decided["order_id"] else {"version": ""}
    body = {
        "decision_id": told.decision_id,
        "version": pair["version"],
        "reason": told.reason,
        "despite_conflict": told.one_patient,
    }
    return _print_kept(desk.post("undo", body))


def _must_be_ids(*ids: str | None) -> None:
    """Refuse what is no id before anybody is asked, and say where ids are."""
    for one in filter(None, ids):
        try:
            UUID(one)
        except ValueError:
            raise OverreadError(
                f"{one} is no case and no order: take its id from `overread desk list`, `--kind no_order` or "
                "`--kind no_images`"
            ) from None


class _Desk:
    """The desk's API under one token."""

    def __init__(self, username: str) -> None:
        url = api_client.base_url()
        self._api = api_client.Api(url, api_client.sign_in(username, url=url))
        self._url = f"{url}/desk"

    def get(self, path: str, **query: Any) -> Any:
        return self._api.get(f"{self._url}/{path}", **query)

    def post(self, path: str, body: dict[str, Any]) -> Any:
        return self._api.post(f"{self._url}/{path}", body)

    def pair(self, case_id: str, order_id: str) -> Any:
        return self.get(f"pairs/{case_id}/{order_id}")

    def entries(self) -> Any:
        for kind in ("doubt", "no_order", "no_images"):
            after = ""
            while True:
                page = self.get("entries", kind=kind, after=after, limit=100)
                yield from page["items"]
                after = page["next"]
                if not after:
                    break

    def decision(self, decision_id: str) -> Any:
        before = None
        while True:
            page = self.get("decisions", before=before, limit=100)
            found = next((one for one in page["items"] if one["decision_id"] == decision_id), None)
            before = page["before"]
            if found:
                return found
            if before is None:
                raise ApiRefused("there is no such decision")


def _print_pair(pair: Any) -> None:
    order, study = pair["order"], pair["study"]
    lines = [
        ("accession number", order["accession_number"], " ".join(study["accession_numbers"])),
        ("study", order["study_instance_uid"], study["study_instance_uid"]),
        ("patient", _patient(order["patient"]), _patient(study["patient"])),
        ("modality", order["modality"], " ".join(study["modalities"])),
        ("procedure", order["service"], study["study_description"]),
        ("time", said(order["scheduled_at"], "minutes"), said(study["study_date_time"], "minutes")),
        ("ward", order["patient_location"], ""),
    ]
    sys.stdout.write(f"fit {pair['score']} of 100, {'attached' if pair['is_linked'] else 'not attached'}\n")
    for what, left, right in lines:
        sys.stdout.write(f"{what:17} {left or NOT_SAID:40} {right or NOT_SAID}\n")
    for reason in pair["reasons"]:
        sys.stdout.write(f"{reason['points']:+4}  {why(reason)}\n")
    for decision in pair["decisions"]:
        undone = " (undone)" if decision["is_undone"] else ""
        sys.stdout.write(
            f"{decision['kind']}{undone}  {decision['decided_by']}  {said(decision['decided_at'])}  {decision['reason']}"
            f"  {decision['decision_id']}\n"
        )
    sys.stdout.write(f"version {pair['version']}\n")


def _patient(patient: Any) -> str:
    numbers = " ".join(one["id_number"] for one in patient["identifiers"])
    name = f"{patient['family_name']} {patient['given_name']}".strip()
    return " ".join(part for part in (name, patient["birth_date"], patient["sex"], numbers) if part)


def _print_kept(kept: Any) -> int:
    sys.stdout.write(f"{kept['kind']}  {kept['decision_id']}\n")
    return 0
