"""An account with rows of every kind, and files, all of which hold one word that is found wherever
it is."""
from __future__ import annotations

from collections import namedtuple
from datetime import timedelta
from graphlib import TopologicalSorter

from tests.support.product import references, table, tables

Account = namedtuple("Account", "id word rows")
TARGETS = {(reference.table, reference.column): reference.target for reference in references()}
# What a column holds that does not hold the word: of one table, of any table, by its type.
OF_TABLE = {("users", "status"): "active", ("users", "deleted_at"): None,
            ("users", "log_retention_days"): None, ("attempts", "kind"): "forward",
            ("attempts", "run_id"): None, ("attempts", "outcome"): "sent",
            ("message_logs", "status"): "delivered", ("message_stats", "status"): "delivered",
            ("domains", "status"): "verified", ("export_requests", "status"): "ready"}
OF_ANY = {"status": "pending", "direction": "forward", "severity": "info", "kind": "app_own",
          "persona": "porter", "metric": "emails", "event": "alias.created"}


def everything(bench, word: str = "jane", each: int = 3, **user) -> Account:
    """Insert it: `each` rows in every table that refers to a user, by way of others, too. `rows`:
    {table: number}."""
    # no comprehension within another: Python 3.12.1 mixes up their names
    needs: dict = {}
    for (origin, _), target in TARGETS.items():
        needs.setdefault(origin, set()).add(target)
    order = TopologicalSorter({name: sorted(targets) for name,
                               targets in needs.items()}).static_order()
    made: dict = {}
    for name in order:
        number = 1 if name == "users" else each
        made[name] = [_insert(bench, table(name), at, word, made, user)
                      for at in range(1, number + 1)]
    return Account(made["users"][0], word, {name: len(rows) for name, rows in made.items()})


def found(bench, word: str) -> list[str]:
    """Where the word still is: in a row of the database, in the name or the content of a file."""
    places = [f"{entry.name}: {row}" for entry in tables()
              for row in bench.rows(entry.name) if word in str(row)]
    for path in bench.folder.rglob("*"):
        if path.is_file() and not path.name.startswith("jobs.db") and (
                word in path.name or word.encode() in path.read_bytes()):
            places.append(str(path.relative_to(bench.folder)))
    return places


def _insert(bench, entry, at: int, word: str, made: dict, user: dict) -> int | None:
    row = {column.name: _value(bench, entry.name, column, at, word, made)
           for column in entry.columns if column.type != "id"}
    if entry.name == "users":
        row.update(user)
    if "raw_path" in row:
        bench.spool(row["raw_path"], f"Subject: {word}\r\n\r\nhello\r\n".encode())
    bench.table(entry.name, [row])
    return None if entry.key != ("id",) else max(bench.ids(entry.name))


def _value(bench, name: str, column, at: int, word: str, made: dict):
    place = (name, column.name)
    if target := TARGETS.get(place):
        return made[target][min(at, len(made[target])) - 1]
    if name == "notification_optouts":
        return f"app_own{at}"
    if place in OF_TABLE:
        return OF_TABLE[place]
    if column.name in OF_ANY:
        return OF_ANY[column.name]
    if column.name.startswith(("claim_", "lease_")):
        return None
    text, then = f"{word}-{name}-{column.name}-{at}", None if column.null else bench.ago(days=3)
    return {"address": f"{text}@old.example", "hash": text[:64], "word": f"{word}{at}",
            "label": text, "path": text, "line": text, "name": text, "text": text, "flag": 1,
            "json": f'{{"of": "{text}"}}', "blob": text.encode(), "time": then, "now": then,
            "date": (bench.now - timedelta(days=at)).date()}.get(column.type, at)
