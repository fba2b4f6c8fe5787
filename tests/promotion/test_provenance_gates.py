"Where a candidate came from: real notebooks, worked in by hand, and a real repository."
from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import nbformat
import pytest
import sqlalchemy as sa

from mlops_nb.base import schema as db
from mlops_nb.base.project import Home
from mlops_nb.registry.registration import describe, register
from mlops_nb.runs import writer
from mlops_nb.runs.run import begin_run
from promotion_support import ask, register_small, save_small


@pytest.mark.slow
def test_run_of_a_workflow_is_clean_and_belongs_to_no_commit(two: Home) -> None:
    assert ask(two, "tumour@2", "notebook_clean").outcome == "pass"
    assert ask(two, "tumour@2", "code_committed").message.endswith("outside a git repository: commit the project")


def _notebook(*cells: tuple[str, int | None]) -> bytes:  # of text and execution count
    code_cells = [nbformat.v4.new_code_cell(text, execution_count=count) for text, count in cells]
    return nbformat.writes(nbformat.v4.new_notebook(cells=code_cells)).encode()


@pytest.mark.parametrize("executed, outcome, message", [
    ([("a = 1", 1), ("b = 2", 2)], "pass", "2 cells ran from top to bottom"),
    ([("a = 1", 3), ("b = 2", 4)], "fail", "their counts are 3, 4; restart the kernel and run all"),
    ([("a = 1", 2), ("b = 2", 1)], "fail", "their counts are 2, 1; restart the kernel and run all"),
    ([("a = 1", 1), ("b = 2", None)], "fail", "1 of 2 code cells did not run"),
    ([("a = 1", 1), ("b = 3", 2)], "fail", "1 cell was edited"),
    ([("a = 1", 1), ("b = 2", 2), ("c = 3", 3)], "fail", "1 cell was edited"),
])
def test_notebook_that_somebody_worked_in_by_hand(
    home: Home, executed: list[tuple[str, int | None]], outcome: str, message: str,
) -> None:
    written = _notebook(("a = 1", None), ("b = 2", None))
    run = begin_run(home, "hand.ipynb", source=home.artifacts.put(written))
    save_small(run, home)
    version = register(home, "m", run)
    run.end()
    writer.flush(home.store.url)
    values = {"executed": home.artifacts.put(_notebook(*executed))}
    with home.store.write() as connection: connection.execute(sa.update(db.runs).filter_by(id=run.id).values(values))
    finding = ask(home, version.ref, "notebook_clean")
    assert finding.outcome == outcome and message in finding.message


def test_run_that_left_no_notebook_cannot_be_told(home: Home) -> None:
    register_small(home, 2)
    assert ask(home, "m@1", "notebook_clean").outcome == "inconclusive"


class Repository:
    "A project under git, with a notebook that is not in it yet."

    def __init__(self, home: Home) -> None:
        self.home = home
        self._git("init")
        (home.root / ".gitignore").write_text(".mlops\n")
        self.write("other.py", "x = 1\n")
        self.commit()
        self._rounds = 1

    def _git(self, *words: str) -> None:
        who = "-c", "user.name=a", "-c", "user.email=a@b"
        subprocess.run(["git", "-C", str(self.home.root), *who, *words], check=True, capture_output=True)

    def write(self, name: str, text: str) -> None: (self.home.root / name).write_text(text)

    def commit(self) -> None:
        self._git("add", ".")
        self._git("commit", "-m", "as it is")

    def train(self) -> str:
        "Register a model of a run of the notebook as it is now; its reference."
        source = self.home.artifacts.put(self.home.root / "learn.ipynb")
        run = begin_run(self.home, "learn.ipynb", kind="batch", source=source)
        self._rounds += 1
        save_small(run, self.home, rounds=self._rounds)
        run.end()
        return register(self.home, "m", run).ref


@pytest.fixture
def repository(home: Home, write_notebook: Callable[..., Path]) -> Repository:
    repository = Repository(home)
    write_notebook("learn.ipynb", "x = 1")
    return repository


def test_notebook_that_is_not_in_the_commit(repository: Repository) -> None:
    finding = ask(repository.home, repository.train(), "code_committed")
    assert finding.outcome == "fail" and "learn.ipynb is not in commit" in finding.message


def test_notebook_as_it_is_in_the_commit(repository: Repository) -> None:
    repository.commit()
    assert ask(repository.home, repository.train(), "code_committed").outcome == "pass"


def test_notebook_that_was_changed_since(repository: Repository, write_notebook: Callable[..., Path]) -> None:
    repository.commit()
    write_notebook("learn.ipynb", "x = 2")
    finding = ask(repository.home, repository.train(), "code_committed")
    assert finding.outcome == "fail" and "files differed from commit" in finding.message


def test_module_that_was_changed_since(repository: Repository) -> None:
    repository.commit()
    repository.write("other.py", "x = 2\n")
    finding = ask(repository.home, repository.train(), "code_committed")
    assert finding.outcome == "fail" and "files differed from commit" in finding.message


def test_card_is_complete_when_a_person_has_written_it(home: Home) -> None:
    register_small(home, 2)
    assert ask(home, "m@1", "card_complete").outcome == "fail"
    describe(home, "m", description="malignant or not", owner="ada", intended_use="teaching", limitations="one clinic")
    assert ask(home, "m@1", "card_complete").outcome == "pass"


def test_card_has_the_sections_that_the_policy_names(home: Home) -> None:
    register_small(home, 2)
    finding = ask(home, "m@1", "card_complete", sections=["ethics"])
    assert finding.message == "the card of m lacks ethics: mlops-nb model describe m --ethics …"
