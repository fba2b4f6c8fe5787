"What is asked of a collection is understood, or refused in one line."
from __future__ import annotations

from dataclasses import dataclass

import pytest

from mlops_nb.base.collections import Collection, pick
from mlops_nb.base.display import Listing, Shown
from mlops_nb.base.errors import BadParameter


@dataclass(frozen=True, kw_only=True)
class Book(Shown):
    name: str
    pages: int
    sold: dict[str, int]


class Books(Collection[Book]):
    _books = Book(name="emma", pages=474, sold={"oslo": 3}), Book(name="ulysses", pages=732, sold={"oslo": 9})

    def __getitem__(self, reference: str) -> Book:
        return pick(self._books, lambda book: book.name == reference, reference=reference, what="book", names=())

    def list(self, name: str | None = None) -> Listing[Book]: return Listing(self._books)

    def _everything(self) -> tuple[Book, ...]: return self._books


def test_records_are_ordered_by_an_entry() -> None:
    assert [book.name for book in Books().search(order_by="-sold.oslo")] == ["ulysses", "emma"]


@pytest.mark.parametrize("order_by", ["colour", "name.x", "nosuch.x"])
def test_what_is_no_order_is_refused_as_it_was_written(order_by: str) -> None:
    with pytest.raises(BadParameter, match=f"order_by='{order_by}' is no field: there are name, pages, sold"):
        Books().search(order_by=order_by)
