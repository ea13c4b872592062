"""What an app's own tables lack, or have in a way that the jobs cannot work with. The jobs that are
concerned refuse before they touch anything, the others run.

`migrate` looks, and notes in `meta` what it found: a sentence for each table. A run reads that with
the version of the schema. Where its tables were found to be wrong it looks again, as they may be
right by now.
"""
from __future__ import annotations

import re
from contextlib import suppress

from jobs_lib.errors import DatabaseError, JobsError, Missing, NotGranted
from jobs_lib.job import tables_of
from jobs_lib.paths import VERSION
from jobs_lib.records import namedtuple
from jobs_lib.text import did_you_mean

from . import NAMES, app_tables, ddl, foreign_keys, keys, probe
from .tables import table
from .version import FIT, facts

Finding = namedtuple("Finding", "table act what fix statements", defaults=((),))
Finding.__doc__ = """One thing that is wrong with a table of the app's.

table       by our name
act         what a job does to the table for which it matters: READ is every job that works on it,
            PURGE one that deletes its rows and not whole accounts
what, fix   in words
statements  SQL that does it
"""
READ, CHANGE, WRITE, ADD, DELETE, PURGE = "read", "change", "write", "add", "delete", "purge"
NOTE = "note"                # to be looked at by a person: no job refuses for it
MARKS = {READ: "", CHANGE: "=+-", WRITE: "=", ADD: "+", DELETE: "-", PURGE: "-"}
LONGEST, MOST_SAID = 1900, 600      # characters of a value in `meta`, and of one thing in it
MOST = 2                     # things in a refusal
LISTED = "`jobs.py migrate --check` says what to do"
PRINTED = "run the SQL that `jobs.py migrate` prints"

# what a type holds, by its name as the database has it
FAMILIES = (("bits", r"^bit"), ("bytes", r"blob|binary|byte"), ("times", r"date|time"),
            ("text", r"char|text|clob|enum|^set|json|uuid|guid|ulid"),
            ("numbers", r"int|real|floa|doub|dec|numeric|year|bool"))
NEEDED = {**dict.fromkeys(("id", "ref"), ("numbers", "text")),
          **dict.fromkeys(("int", "big", "flag", "real"), ("numbers",)),
          **dict.fromkeys(("date", "time", "now"), ("times",)),
          "blob": ("bytes", "text")}
TRANSACTIONAL = ("innodb", "rocksdb", "xtradb")


class Incomplete(JobsError):
    """The app's tables are not as this job needs them; nothing was done."""


def look(db) -> list[Finding]:
    """All that is wrong. Only a connection that may write tries whether rows can be written."""
    there = db.catalogue(app_tables.TABLES)
    by_keys, parents, bases = foreign_keys.look(db, there)
    engines = {row["name"].lower(): row for row in db.query(db.dialect.tables)} if bases else {}
    lasting = list(_lasting(db, bases, engines))
    found = [*_missing(db, there), *_unlike(db, there), *lasting,
             *(Finding(*each) for each in by_keys)]
    if db.readonly:
        return found
    # what is tried in a table without transactions would stay
    wrong = {each.table for each in found if each.act == READ or each in lasting}
    with suppress(Missing, NotGranted, *probe.NOBODY):
        db.execute("UPDATE {meta} SET value = value WHERE 1 = 0")   # else no job can run
        for name in there:
            if name not in wrong:
                is_seen = not bases or (bool(bases[name]) and bases[name] <= engines.keys())
                found += [Finding(*each) for each in probe.look(
                    db, name, there[name].keys(), name in parents, is_seen)]
    return found


def indexes(db, names) -> list:
    """The indexes that these tables of the app's lack, as ddl.Difference. No job refuses for one;
    views have none."""
    views = {name for name, columns in db.catalogue(names).items()
             if any(column["is_view"] for column in columns.values())}
    return [difference for name in names if name not in views
            for difference in ddl.differences(db, table(name)) if "index" in difference.kind]


def _missing(db, there: dict):
    """Tables and columns that are not there, with the statements that make them."""
    tables = db.tables()
    for name in app_tables.TABLES:
        theirs, ours = db.name(name), table(name)
        if name not in there:
            fix = f"{PRINTED}, or name yours in [tables]"
            if name in db.name.mapped:
                near = did_you_mean(theirs, sorted(tables - set(map(db.name, NAMES))))
                fix = f"correct [tables] {name}" + (near.replace(";", ":") or f", or {PRINTED}")
            elif name in tables:
                fix = f"if the table {name} is your app's, set [tables] {name} = {name}; else {fix}"
            yield Finding(name, READ, f"the database has no table {theirs}", fix,
                          ddl.create_table(db, ours))
            continue
        columns = [column for column in ours.columns if column.name not in there[name]]
        if columns:
            lacks = ", ".join(column.name for column in columns)
            is_shown = any(column["is_view"] for column in there[name].values())
            yield Finding(
                name, READ, f"the {'view' if is_shown else 'table'} {theirs} has no {lacks}",
                "show that in the view, as NULL where your app has none" if is_shown else PRINTED,
                [] if is_shown else [ddl.add_column(db, ours, column) for column in columns])


def _unlike(db, there: dict):
    """Columns of another family of types, keys of another kind."""
    for name, columns in there.items():
        for column in table(name).columns:
            facts = columns.get(column.name)
            # a NULL in a view has a type of no characters, which says nothing
            held = _family(facts["type"]) if facts and facts["longest"] != 0 else ""
            needed = NEEDED.get(column.type, ("text",))
            if db.dialect.any_type and needed == ("times",):
                needed = ("times", "text")
            if held and held not in needed:
                yield Finding(name, READ, (f"{db.name(name)}.{column.name} holds {held} where "
                              f"{needed[0]} belong"), ("change its type, or let a view show it as "
                              f"{db.dialect.types[column.type]}"))
    first = next(iter(keys.types(db)), "")
    for name in keys.others(db):
        yield Finding(name, READ, (f"the keys of {db.name(name)} ({keys.types(db)[name]}) are not "
                      f"of the kind of those of {db.name(first)} ({keys.types(db)[first]})"),
                      "give both the same type and collation")


def _lasting(db, bases: dict, engines: dict):
    """Tables whose engine has no transactions, also behind a view."""
    for name, tables in bases.items():
        for stored in (engines[base] for base in sorted(tables & engines.keys())):
            base, engine = stored["name"], stored["engine"].lower()
            if engine not in TRANSACTIONAL:
                shown = base if base == db.name(name) else f"{base} behind {db.name(name)}"
                yield Finding(name, CHANGE, f"the table {shown} is {engine}, which has no "
                              "transactions", PRINTED,
                              [f"ALTER TABLE {db.dialect.quote(base)} ENGINE=InnoDB"])


def _family(kind: str) -> str:
    """"" of a type that says nothing, as in a view of SQLite."""
    return next((name for name, pattern in FAMILIES if re.search(pattern, kind)), "")


# What was found, for the runs that follow

def note(db) -> list[Finding]:
    """Look, write down what was found, and return it."""
    found = look(db)
    rows = {f"{FIT}.{name}": _noted(found, name) for name in {each.table for each in found}}

    def store() -> None:
        for name, value in {**rows, FIT: VERSION}.items():
            db.upsert("meta", {"name": name}, {"value": value})
        db.execute("DELETE FROM {meta} WHERE name LIKE 'fit.%' AND name NOT IN (:names)",
                   names=[*rows, ""])
    if {FIT: VERSION, **rows} != _stored(db):
        db.batch(store)
    return found


def _noted(found: list[Finding], name: str) -> str:
    # a trigger may say anything in more lines than one
    text = "\n".join(f"{each.act}\t{' '.join(each.what.split())[:MOST_SAID]}\t{each.fix}"
                     for each in found if each.table == name)
    return text if len(text) <= LONGEST else text[:LONGEST].rpartition("\n")[0] or text[:LONGEST]


def _stored(db) -> dict[str, str]:
    return {name: value for name, value in facts(db).items() if name.startswith(FIT)}


def known(db) -> list[Finding] | None:
    """What the last look found; None where there was none by this version, or it cannot be
    read."""
    stored = _stored(db)
    if stored.pop(FIT, "") != VERSION:
        return None
    found = [Finding(name.partition(".")[2], *(line.split("\t") + ["", ""])[:3])
             for name, text in stored.items() for line in text.split("\n")]
    return found if {each.act for each in found} <= {*MARKS, NOTE} else None


def forget(db) -> None:
    """The next run looks again: a statement found no such table or column, or one that does not
    take what was written."""
    with suppress(DatabaseError):
        db.execute("DELETE FROM {meta} WHERE name = :name", name=FIT)


def concerned(job, found: list[Finding]) -> list[Finding]:
    """Those of the findings that matter for what the job does, as it says itself."""
    works = tables_of(job)
    return [each for each in found if each.table in works and each.act in MARKS
            and (not MARKS[each.act] or set(MARKS[each.act]) & set(works[each.table]))
            and not (each.act == PURGE and "-" in works.get("users", ""))]


def need(db, job, store: bool = True) -> None:
    """Raise Incomplete when something is wrong that the job needs. `store`: it is no dry run, so
    what is found out may be written down."""
    found = known(db)
    if found is None or concerned(job, found):
        looked = note(db) if store else look(db)
        said = {each.what for each in looked}
        # a dry run cannot try what is written
        found = looked if store or found is None else [*looked, *(
            each for each in found if each.act in (WRITE, ADD, DELETE) and each.what not in said)]
    if wrong := concerned(job, found):
        raise Incomplete(f"nothing was done: {in_words(wrong)}")


def in_words(found: list[Finding]) -> str:
    """The first of them in a sentence; what to do only where it is one thing."""
    if len(found) < 2:
        return "".join(f"{each.what}: {each.fix}" for each in found)
    more = f"; and {len(found) - MOST} more" if len(found) > MOST else ""
    return "; ".join(each.what for each in found[:MOST]) + more + f": {LISTED}"
