"""Changing the rows of one deleted account in short batches."""
from __future__ import annotations

import json
from collections import Counter
from contextlib import contextmanager
from functools import partial

from jobs_lib import clock
from jobs_lib.database import stored
from jobs_lib.database.schema.tables import is_queue
from jobs_lib.engines import spool
from jobs_lib.engines.batch_delete import FILES_AT_ONCE, LISTED, BatchSizer
from jobs_lib.engines.load import Load
from jobs_lib.engines.rows import in_hand
from jobs_lib.errors import Conflict, Lost
from jobs_lib.records import namedtuple

from .deletion_order import NOT_HELD, Removal, along, columns, next_key


class Restored(Exception):
    """The account was made active again: nothing more of it may be touched."""


class InFlight(Exception):
    """A run that lives is just sending something of the account: the next run continues."""


Sizers = namedtuple("Sizers", "lists ranges load")
Sizers.__doc__ = """How large the batches of a run are, of rows by their ids and of ranges, and the
Load that they wait for; None: they do not."""


def batch_sizers(ctx) -> Sizers:
    """Those of a run; they learn from each batch."""
    batches = ctx.db.dialect.batches
    return Sizers(BatchSizer(batches, LISTED), BatchSizer(batches), Load(ctx))


def open_deletion(ctx, account) -> int:
    """The id of the row of account_deletions that counts what is done to this account; made if
    there is none. Restored if the account is not deleted any more, or is gone.

    Called in a transaction.
    """
    if ctx.db.value(f"SELECT status FROM {{users}} WHERE id = :id{ctx.db.for_update}",
                    id=account.user_id) != "deleted":
        raise Restored()
    found = ctx.db.value("SELECT MAX(id) FROM {account_deletions} WHERE user_ref = :ref "
                         "AND completed_at IS NULL", ref=account.ref)
    if found:
        return found
    return ctx.db.insert("account_deletions", user_ref=account.ref, requested_at=account.deleted_at,
                         counts="{}")


class Batches:
    """Changes rows of one account, a short transaction at a time, and counts what went in the same
    transaction.

    Restored where the user's own row does not have the status `deleted` any more.
    """

    def __init__(self, ctx, user_id: int, deletion_id: int, sizers: Sizers) -> None:
        self.ctx, self.db, self.user_id, self.deletion_id = ctx, ctx.db, user_id, deletion_id
        self.sizers = sizers
        self.checked = False                # whether the spool folder is the right one

    def delete(self, name: str) -> bool:
        """Delete all rows of a table that name the user. False when the run is to stop."""
        if next_key(name) != "id":
            return self.each(name, "user_id = :user", Removal.erase_keyed)
        rule = "user_id = :user" + (f" AND {NOT_HELD}" if is_queue(name) else "")
        column = along(self.db, name)
        return bool(column and self._by_ranges(name, rule, column)) or (
            self.each(name, rule, Removal.erase))

    def _by_ranges(self, name: str, rule: str, column: str) -> bool:
        """Delete rows along an index whose next column this is, from its start to its end and then
        what came in behind. False when the run is to stop, or the rest has no ranges: many rows of
        one time, or of what is no time."""
        values = {"user": self.user_id, **in_hand(self.ctx.clock())}
        source = f"SELECT {column} AS part FROM {{{name}}} WHERE"
        since = None
        while not self.ctx.should_stop():
            # what was deleted is not passed over again while InnoDB keeps it for others
            where = rule if since is None else f"{rule} AND {column} >= :since"
            within = {**values, "since": since}
            found = self.db.row(f"{source} {where} ORDER BY {column} LIMIT 1", **within)
            if found is None and since is None:
                return True
            if found is None:
                since = None
                continue
            until = self.db.row(f"{source} {where} ORDER BY {column} LIMIT 1 OFFSET :most",
                                **within, most=self.sizers.ranges.rows)
            if until:
                where, within["until"] = f"{where} AND {column} < :until", until["part"]
                if not (type(until["part"]) is int or clock.parse_any(until["part"])):
                    return False
            done = self._timed(self.sizers.ranges, partial(self._erase_range, name, where, within))
            if done == 0:
                return not until
            if done:
                since = until and until["part"]
        return False

    def _erase_range(self, name: str, where: str, values: dict) -> tuple[int, int]:
        done = self.db.batch(partial(self._work, name, Removal.erase_where, [], where, values),
                             retry_on=Lost)
        return done, done

    def change(self, name: str, rule: str, sets: str, **values) -> bool:
        """UPDATE the rows that match, so that they match no more. False when the run is to stop."""
        def update(removal: Removal, table: str, ids: list, where: str, values: dict) -> int:
            return removal.db.execute(
                f"UPDATE {{{table}}} SET {sets} WHERE id IN (:ids) AND {where}", ids=ids, **values)
        return self.each(name, rule, update, **values)

    def each(self, name: str, rule: str, act, **values) -> bool:
        """`act`, which is a method of Removal or like one, on all rows that match, in batches.
        False when the run is to stop."""
        key = next_key(name)
        most = FILES_AT_ONCE if "raw_path" in columns(name) else LISTED
        values = {"user": self.user_id, **in_hand(self.ctx.clock()), **values}
        order = "" if key == "id" else f" ORDER BY {key}"
        asked = f"SELECT {key} AS part FROM {{{name}}} WHERE {rule}{order} LIMIT :most"

        def batch() -> tuple[int, int]:
            parts = [row["part"] for row in self.db.query(
                asked, most=min(most, self.sizers.lists.rows), **values)]
            # none is done where what is left changed meanwhile, or is not for us to take now
            work = partial(self._work, name, act, parts, rule, values)
            return len(parts), self.db.batch(work, retry_on=Lost) if parts else 0
        return self._repeat(batch)

    def retire_aliases(self) -> bool:
        """Keep the hashes of all its aliases before anything is deleted that the app's foreign keys
        may delete aliases with, such as a destination. False when the run is to stop."""
        for rows in self.db.pages("SELECT id, address FROM {aliases} WHERE user_id = :user",
                                  size=LISTED, user=self.user_id):
            if self.ctx.should_stop():
                return False
            self.db.batch(partial(self._retire_some, [row["address"] for row in rows]),
                          retry_on=(Conflict, Lost))
        return True

    def _retire_some(self, addresses: list[str]) -> None:
        self.check_status()
        self._retire(addresses)

    def _repeat(self, batch) -> bool:
        """`batch()` returns (how many rows it asked for, how many it has done), until none is done.
        False when the run is to stop."""
        while not self.ctx.should_stop():
            if self._timed(self.sizers.lists, batch) == 0:
                return True
        return False

    def _timed(self, sizer: BatchSizer, batch) -> int | None:
        """One batch and the pause after it. How many rows it has done; None where it had to give
        way to others and is to be tried again, with half as many."""
        begin = self.ctx.monotonic()
        try:
            asked, done = batch()
        except Conflict as error:
            self.ctx.sleep(sizer.pause_after_conflict(error))
            return None
        if done:
            self.ctx.count("rows", done)
            self.ctx.progress(self.ctx.counts["rows"], accounts=self.ctx.counts["erased"])
            self.ctx.sleep(sizer.pause_after(asked, self.ctx.monotonic() - begin))
            if self.sizers.load and self.sizers.load.wait():
                sizer.halve()
        return done

    def _work(self, name: str, act, parts: list, rule: str, values: dict) -> int:
        self.check_status()
        removal = Removal(self.db)
        number = act(removal, name, parts, rule, values)
        self.keep(removal)
        return number

    def keep(self, removal: Removal) -> None:
        """What stays of the rows that the open transaction deletes: numbers, hashes of aliases; and
        their files go."""
        if removal.addresses:
            self._retire(removal.addresses)
        self._count(removal.rows)
        if removal.files:
            self._drop(removal.files)
        if removal.exports:
            from jobs_lib.features.exports.files import remove_all
            self.ctx.count("files", remove_all(self.ctx, removal.exports))

    def check_status(self) -> None:
        """Restored, unless the account still is what it was when it was chosen. Locks the user's
        row."""
        status = self.db.value(f"SELECT status FROM {{users}} WHERE id = :user{self.db.for_update}",
                               user=self.user_id)
        if status != "deleted":
            raise Restored()

    def _count(self, rows: Counter) -> None:
        """Add numbers to the account's `counts`, in the transaction that made them true."""
        if not any(rows.values()):
            return
        text = self.db.value("SELECT counts FROM {account_deletions} "
                             f"WHERE id = :id{self.db.for_update}", id=self.deletion_id)
        counts = stored.memory(text)
        counts.update({name: counts.get(name, 0) + number
                       for name, number in rows.items() if number})
        self.db.execute("UPDATE {account_deletions} SET counts = :counts WHERE id = :id",
                        id=self.deletion_id, counts=json.dumps(counts, sort_keys=True))

    def _retire(self, addresses: list[str]) -> None:
        from .retired import LABEL, address_hash

        key, now = self.ctx.secret(LABEL), self.ctx.clock()
        for hashed in sorted({address_hash(key, address) for address in addresses}):
            self.db.upsert("retired_addresses", {"address_hash": hashed}, {"created_at": now})

    def _drop(self, paths: list[str]) -> None:
        """Delete the files of the rows that the open transaction has deleted."""
        folder = self.ctx.section("spool").dir
        if not self.checked:
            spool.need_folder(self.db, folder)
            self.checked = True
        number, freed = spool.drop(self.db, folder, paths)
        self.ctx.count("files", number)
        self.ctx.count("bytes_freed", freed)


@contextmanager
def unless_restored(ctx, user_id: int):
    """What follows is left where it is once the account turns out to be active again, or in use by
    a run."""
    try:
        yield
    except InFlight:
        ctx.count("waiting")
    except Restored:
        ctx.count("restored")
        ctx.log.warning("account changed meanwhile", user_id=user_id, what="it is not deleted any "
                        "more: left alone")
