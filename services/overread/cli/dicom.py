"""`overread dicom`: the scanner engineer's tools, a module an action."""

import argparse
import importlib

ACTIONS = ("echo", "send", "worklist", "step", "commit", "explain")
"""Each action's module is `overread.cli.dicom_…`, with `add_to(actions)`."""

EPILOG = """\
a new scanner, in this order (docs/dicom.md):
  overread dicom echo --as CT1                        are titles and port right
  overread dicom worklist --as CT1 --modality CT      what would it find on its worklist
  overread dicom explain FILE                         what is in a file, and what would become of it
  overread dicom step begin --as CT1 --study UID      it begins to examine ...
  overread dicom send FOLDER --as CT1                 ... sends its images ...
  overread dicom step end UID FOLDER --as CT1         ... and says which there are
  overread dicom commit FOLDER --as CT1               are all of them kept
"""


def add_to(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command and its actions."""
    parser = subparsers.add_parser(
        "dicom",
        help="try a scanner's side of DICOM: echo, worklist, step, images, commitment; explain a file",
        description="Does what a modality does, with each answer in words. Patient data is hidden unless you ask for it.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    for name in ACTIONS:
        importlib.import_module(f"overread.cli.dicom_{name}").add_to(actions)
