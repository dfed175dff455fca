"""What can be wrong when an object of ours is written or read back."""

from overread.contracts.errors import Malformed


class NotRenderable(Malformed):
    """The content can't be said in DICOM without breaking one of its rules."""


class Unfaithful(Malformed):
    """The object does not read as one of ours."""
