"""The database's own guard of a report's life, made from the same table that the code asks."""

from importlib import resources

from overread.contracts import report_life
from overread.contracts.codec import sha256


def report_life_migration() -> tuple[str, str]:
    """Return the trigger made from the table of a report's life; a changed table is a new migration."""
    pairs = ",\n        ".join(f"('{state}', '{following}')" for state, following in report_life.allowed_pairs())
    template = resources.files("overread.review") / "migrations" / "report_life_guard.sql.in"
    sql = (
        template.read_text(encoding="utf-8")
        .replace("{opening_state}", report_life.OPENING_STATE)
        .replace("{allowed_pairs}", pairs)
        .replace("{needs_signature}", ", ".join(f"'{state}'" for state in sorted(report_life.NEEDS_SIGNATURE)))
    )
    return f"0002_report_life_{sha256(sql.encode())[:12]}.sql", sql
