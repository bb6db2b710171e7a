"""The stored answers of a ledger as rows, so that an event writes only what is new.

They come back exactly as they were in memory: watermarks, and the order in which askers were used.
"""

from collections.abc import Iterable, Iterator, Mapping

import msgspec

from nm_bus.core.ledger.answers import Answered, Answers, Asker
from nm_bus.messages import Proposed
from nm_bus.storage.sqlite import SqliteFile

TABLES = """
CREATE TABLE askers (
    id INTEGER PRIMARY KEY, principal TEXT NOT NULL, incarnation TEXT NOT NULL,
    watermark INTEGER NOT NULL, revision INTEGER NOT NULL, floor INTEGER NOT NULL,
    used INTEGER NOT NULL,
    UNIQUE (principal, incarnation)
) STRICT;
CREATE INDEX askers_used ON askers (used);
CREATE TABLE answers (
    asker INTEGER NOT NULL, sequence INTEGER NOT NULL, answer BLOB NOT NULL,
    PRIMARY KEY (asker, sequence)
) STRICT, WITHOUT ROWID;
"""


class AnswerRows:
    """The answers in a ledger's file; the caller's transaction makes them durable."""

    def __init__(self, file: SqliteFile) -> None:
        self._file = file

    def all(self) -> Iterator[Answered]:
        """All of them, the asker that was used last at the end."""
        query = (
            "SELECT id, principal, incarnation, watermark, revision, floor FROM askers"
            " ORDER BY used"
        )
        for id, principal, incarnation, watermark, used, floor in self._file.rows(query):
            yield Answered(principal, incarnation, watermark, used, floor, self._of(id))

    def keep(self, answers: Answers, given: Mapping[Asker, list[Proposed]]) -> None:
        """Keep what was answered in one event, of what is held now.

        Askers come in the order of their last use; those used longest ago go, as in memory.
        """
        for asker, new in given.items():
            held = answers.held(asker)
            if held is not None:
                place, count = held
                id = self._used(asker, place)
                if count > len(new):
                    self._put(id, new)
                    if watermark := place[0]:
                        gone = "DELETE FROM answers WHERE asker = ? AND sequence <= ?"
                        self._file.run(gone, (id, watermark))
                else:  # the first ones, or forgotten and begun again meanwhile
                    self._replace(id, answers.window(asker))
        ((stored,),) = self._file.rows("SELECT count(*) FROM askers")
        if stored > answers.askers:
            self._forget(stored - answers.askers)

    def _replace(self, id: int, window: Answered | None) -> None:
        self._file.run("DELETE FROM answers WHERE asker = ?", (id,))
        if window is not None:
            self._put(id, window.answers)

    def _used(self, asker: Asker, place: tuple[int, int, int]) -> int:
        """Mark an asker as the one used last; gives its number."""
        upsert = (
            "INSERT INTO askers (principal, incarnation, watermark, revision, floor, used)"
            " VALUES (?, ?, ?, ?, ?, (SELECT coalesce(max(used), 0) + 1 FROM askers))"
            " ON CONFLICT DO UPDATE SET watermark = excluded.watermark,"
            " revision = excluded.revision, floor = excluded.floor, used = excluded.used"
            " RETURNING id"
        )
        ((id,),) = self._file.rows(upsert, (*asker, *place))
        return int(id)

    def _put(self, asker: int, answers: Iterable[Proposed]) -> None:
        rows = [
            (asker, int(each.id.rpartition("/")[2]), msgspec.json.encode(each)) for each in answers
        ]
        self._file.run_many("INSERT OR REPLACE INTO answers VALUES (?, ?, ?)", rows)

    def _of(self, asker: int) -> tuple[Proposed, ...]:
        query = "SELECT answer FROM answers WHERE asker = ? ORDER BY sequence"
        found = self._file.rows(query, (asker,))
        return tuple(self._file.decoded(body, Proposed) for (body,) in found)

    def _forget(self, count: int) -> None:
        oldest = self._file.rows("SELECT id FROM askers ORDER BY used LIMIT ?", (count,))
        self._file.run_many("DELETE FROM answers WHERE asker = ?", oldest)
        self._file.run_many("DELETE FROM askers WHERE id = ?", oldest)
