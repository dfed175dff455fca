"""What archive may be told."""

from overread.runtime.settings import ServiceSettings


class ArchiveSettings(ServiceSettings):
    """Archive needs its database and the folder of objects; nothing else."""
