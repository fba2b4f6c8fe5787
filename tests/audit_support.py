"What tests of the audit trail need, and the processes that they start: so nothing that is slow to import."
from __future__ import annotations

from pathlib import Path

from mlops_nb.base.project import Home
from mlops_nb.base.store import Store
from mlops_nb.registry.audit import Audit


def home_at(folder: Path, url: str | None = None) -> Home:
    "The workspace of a folder, with its own database or another."
    home = Home(folder)
    if url: home.__dict__["store"] = Store(url)
    return home


def append_events(audit: Audit, count: int) -> None:
    for number in range(1, count + 1):
        with audit.writing() as connection:
            audit.append(connection, "approve", f"m@{number}", alias="production", comment="ä\n'\"")


def append_to(job: tuple[str, Path, int]) -> None:
    "`append_events` by a database's URL and a folder, for another process."
    url, folder, count = job
    append_events(Audit(home_at(folder, url)), count)
