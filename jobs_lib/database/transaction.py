"""One transaction: what it does when it begins, ends, or breaks in between."""
from __future__ import annotations

from jobs_lib.errors import DatabaseError, Lost


class Transaction:
    """What `with db.transaction():` holds.

    `broken` is why it is lost already (a deadlock, a dead connection): its further statements are
    refused, as the engine would run them outside any transaction, and its end raises even if the
    exception was swallowed.
    """

    def __init__(self, database, begin: tuple = ()) -> None:
        self._database, self._begin = database, begin
        self.broken: DatabaseError | None = None

    def __enter__(self) -> None:
        database = self._database
        if database.current:
            raise RuntimeError("a transaction is open already: they cannot be nested")
        try:
            try:
                self._open()
            except Lost:
                # nothing was done in it yet: all of it once more, on a new connection
                self._open()
            if database.journal:
                database.journal.begin()
        except DatabaseError:
            raise
        except BaseException:
            database.invalidate()            # a signal, perhaps after the BEGIN
            raise

    def _open(self) -> None:
        """All statements on one connection: what the first one sets holds for that one alone."""
        database = self._database
        first, *more = self._begin or (database.dialect.begin(database.readonly),)
        self.broken = None
        database._run(first, {}, _nothing, repeatable=True)
        # from here on a lost connection is an error, and not reopened
        database.current = self
        try:
            for statement in more:
                database._run(statement, {}, _nothing)
        except DatabaseError:
            database.current = None
            raise

    def __exit__(self, kind, error, trace) -> None:
        database = self._database
        if database.current is not self:     # forgotten by `invalidate`
            self.broken = self.broken or Lost("the connection was thrown away in a transaction")
        stored = False
        try:
            if error is None and not self.broken:
                self._commit()
                stored = True
            else:
                self._roll_back()
        finally:
            database.current = None
            if database.journal:
                (database.journal.committed if stored else database.journal.rolled_back)()
        if error is None and self.broken:
            raise self.broken

    def _commit(self) -> None:
        try:
            self._database._run("COMMIT", {}, _nothing)
        except Lost as lost:
            if lost.sent:
                raise DatabaseError("the connection was lost while a transaction was being stored, "
                                    "so it may be stored or not; the next run looks and goes on "
                                    "from there") from None
            raise
        except DatabaseError:
            self._roll_back()
            raise

    def _roll_back(self) -> None:
        database = self._database
        database.current = None              # so that a broken one's ROLLBACK is not refused
        if database._raw is not None and database.dialect.in_transaction(database._raw):
            try:
                database._run("ROLLBACK", {}, _nothing)
            except DatabaseError:
                database.invalidate()


def _nothing(cursor) -> None:
    return None
