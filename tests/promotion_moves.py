"What the processes of one test do at one alias: a module of its own, so that they import nothing that is slow."
from __future__ import annotations

import random
from typing import NamedTuple

from mlops_nb.base.errors import NotFound, Refused
from mlops_nb.base.project import Home
from mlops_nb.base.store import Store
from mlops_nb.promotion.aliases import rollback
from mlops_nb.promotion.promotion import promote


class Job(NamedTuple):
    "What one process is to do."
    url: str   # of the database
    root: str  # the project folder
    seed: int
    moves: int


def home_of(url: str, root: str) -> Home:
    "A folder whose store is somewhere else."
    home = Home(root)
    home.__dict__["store"] = Store(url)
    return home


def move_about(job: Job) -> None:
    "Move `m@staging` to and fro between three versions, until so many moves were ours."
    home, draw, moved = home_of(job.url, job.root), random.Random(job.seed), 0
    while moved < job.moves:
        try:
            if draw.random() < 0.7:
                decision = promote(home, f"m@{draw.randint(1, 3)}", to="staging")
                moved += "already" not in decision.reason  # promoting the holder moves nothing
            else:
                rollback(home, "m", "staging")
                moved += 1
        except (Refused, NotFound):
            continue  # another process was first, or there is nothing to go back to
