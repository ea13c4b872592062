"""What an app's own tables lack, or have in a way that the jobs cannot work with. The jobs that are
concerned refuse before they touch anything, the others run.

`migrate` looks, and notes in `meta` in which tables it found something. A run reads that with the
version of the schema. Where its own tables are among them it looks again, as they may be right by
now. The `tables` of a job are what it says itself that it works on (catalogue.py).
"""
from __future__ import annotations

import re
from contextlib import suppress

from jobs_lib.errors import Broken, DatabaseError, JobsError
from jobs_lib.folders import VERSION
from jobs_lib.records import namedtuple
from jobs_lib.text import masking

from . import app_tables, ddl, keys, probe
from .tables import table, words_of
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
MARKS = {READ: "", CHANGE: "=+-", WRITE: "=", ADD: "+", DELETE: "-", PURGE: "-"}
TRIED = (WRITE, ADD, DELETE)  # what a dry run cannot try
# no job refuses for these: what makes them slow, and what a person should look at
INDEX, NOTE = "index", "note"
LISTED = "`jobs.py migrate --check` says what to do"
SET_NULL = "give it ON DELETE SET NULL"
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
# what owners have made: deleted by the app, or with the account, one of them also by its age
LASTING = ("users", "aliases", "domains", "webhooks")
OWNED = (*LASTING, "destinations")
KEEP = ("RESTRICT", "NO ACTION")
# the tables that a view reads, as the server stores it: no comma between two of them
SOURCE = re.compile(r"(?:\bfrom|\bjoin)\s*\(*\s*`[^`]+`\.`([^`]+)`(?!\.)", re.IGNORECASE)
LOOKED_AT = 2000  # rows of a table whose words are looked at


def look(db) -> list[Finding]:
    """All that is wrong. Only a connection that may write tries whether rows can be written."""
    there = db.catalogue(app_tables.TABLES)
    keys.look(db, there)
    found = [*_missing(db, there), *_unlike(db, there)]
    unsafe = {each.table for each in found}     # what is tried there says nothing new
    if db.dialect.views:        # SQLite leaves foreign keys alone, and has one engine
        views = {row["name"].lower(): row for row in db.query(db.dialect.views)}
        bases = {name: _bases(db.name(name).lower(), views) for name in there}
        engines = db.tables()
        lasting = [*_lasting(db, bases, engines)]
        found += [*lasting, *_by_keys(db, bases), *_shared(db, bases, views)]
        # what is tried there might stay
        unsafe |= {each.table for each in lasting} | {
            name for name in bases if not bases[name] or bases[name] - engines.keys()}
    try:
        db.execute("UPDATE {meta} SET value = value WHERE 1 = 0")
        for name in (name for name in there if name not in unsafe):
            found += [Finding(name, *each) for each in probe.look(db, name, there[name])]
    except Broken:
        raise
    except DatabaseError:  # without it no job can run, and nothing can be tried
        pass
    return found


def _missing(db, there: dict):
    """Tables and columns that are not there, with the statements that make them."""
    for name in app_tables.TABLES:
        theirs, ours = db.name(name), table(name)
        if name not in there:
            yield Finding(name, READ, f"the database has no table {theirs}",
                          f"name yours in [tables], or {PRINTED}", ddl.create_table(db, ours))
            continue
        columns = [column for column in ours.columns if column.name not in there[name]]
        lacks = ", ".join(column.name for column in columns)
        if columns and _is_view(there[name]):
            yield Finding(name, READ, f"the view {theirs} has no {lacks}",
                          "show that in the view, as NULL where your app has none")
        elif columns:
            yield Finding(name, READ, f"the table {theirs} has no {lacks}", PRINTED,
                          [ddl.add_column(db, ours, column) for column in columns])


def _is_view(columns: dict) -> bool:
    return any(column["is_view"] for column in columns.values())


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
                yield Finding(name, READ, f"{db.name(name)}.{column.name} holds {held} where "
                              f"{needed[0]} belong", "change its type, or let a view show it as "
                              f"{db.dialect.types[column.type]}")
    kinds = db.key_types
    first = next(iter(kinds), "")
    for name, kind in kinds.items():
        if kind != kinds[first]:
            yield Finding(name, READ, f"the keys of {db.name(name)} ({kind}) differ in type from "
                                      f"those of {db.name(first)} ({kinds[first]})",
                          "give both the same type and collation")


def _family(kind: str) -> str:
    """"" of a type that says nothing, as in a view of SQLite."""
    return next((name for name, pattern in FAMILIES if re.search(pattern, kind)), "")


# On a server: what is behind a view, what foreign keys do

def _bases(name: str, views: dict, seen: tuple = ()) -> set[str]:
    """The tables whose rows a table or view shows; none where its definition may not be seen."""
    if name not in views or name in seen:
        return {name}
    return {base for each in SOURCE.findall(views[name]["text"] or "")
            for base in _bases(each.lower(), views, (*seen, name))}


def _lasting(db, bases: dict, engines: dict):
    """Tables whose engine has no transactions, also behind a view."""
    for name, tables in bases.items():
        for stored in (engines[base] for base in sorted(tables & engines.keys())):
            base, engine = stored["name"], stored["engine"].lower()
            if engine not in TRANSACTIONAL:
                shown = base if base == db.name(name) else f"{base} behind {db.name(name)}"
                yield Finding(
                    name, CHANGE, f"the table {shown} is {engine}, which has no transactions",
                    PRINTED, [f"ALTER TABLE {db.dialect.quote(base)} ENGINE=InnoDB"])


def _by_keys(db, bases: dict):
    """Foreign keys that would delete what a user made, or keep a job from deleting a row."""
    ours = {base: name for name in reversed(tuple(bases)) for base in bases[name]}
    for key in db.query(db.dialect.foreign_keys, names=list(ours)):
        child, parent = ours.get(key["child"].lower()), ours.get(key["parent"].lower())
        if not parent:
            continue
        name, theirs = f"the foreign key {key['name']} of {key['child']}", db.name(parent)
        is_cascade = key["on_delete"] == "CASCADE"
        if key["on_delete"] in KEEP and child in (None, "users"):
            yield Finding(parent, DELETE, f"{name} keeps rows of {theirs} from being deleted",
                          SET_NULL)
        elif is_cascade and child == "users":
            yield Finding(parent, DELETE, f"{name} deletes users with rows of {theirs} (ON DELETE "
                          "CASCADE)", SET_NULL)
        elif is_cascade and child in OWNED and parent not in LASTING:
            yield Finding(parent, PURGE, f"{name} deletes its rows with those of {theirs} (ON "
                          "DELETE CASCADE)", f"{SET_NULL}, or switch off the job that does so")


def _shared(db, bases: dict, views: dict):
    """Views of one table through which rows would be deleted that are something else to the jobs,
    too: what an owner has made."""
    for name in bases:
        view = views.get(db.name(name).lower(), {"is_updatable": False})
        if not view["is_updatable"] or len(SOURCE.findall(view["text"] or "")) != 1:
            continue
        for other in OWNED:
            if other != name and bases[name] & bases.get(other, set()):
                yield Finding(name, DELETE, f"a row deleted through the view {db.name(name)} is "
                              f"one of {db.name(other)}", "let no row be deleted through it: "
                              "CREATE ALGORITHM = TEMPTABLE VIEW")


# For a person

def review(db, jobs: list[str], planned) -> list[Finding]:
    """What the app's tables need for jobs with these `tables`, besides the statements `planned`."""
    found = [each for each in look(db) if any(concerned(tables, [each]) for tables in jobs)]
    # into that one an app may write, too
    for name, columns in db.catalogue({"notifications", *works(" ".join(jobs))}).items():
        missing = [] if _is_view(columns) else ddl.missing_indexes(db, table(name))
        if missing:
            what = f"the table {db.name(name)} lacks indexes: jobs read all its rows each time"
            found.append(Finding(name, INDEX, what, PRINTED, missing))
        found += _strange_words(db, name, columns)
    return [each for each in found
            if not each.statements or not set(planned).issuperset(each.statements)]


def _strange_words(db, name: str, there):
    """Words in a status that no job knows: for a row that has one nothing is done."""
    for column in table(name).columns:
        known = words_of(column)
        if not known or not {"id", column.name} <= there.keys():
            continue
        with suppress(DatabaseError):           # reported as that
            rows = db.query(
                f"SELECT word, COUNT(*) AS number FROM (SELECT {column.name} AS word "
                f"FROM {{{name}}} ORDER BY id DESC LIMIT {LOOKED_AT}) AS newest GROUP BY word")
            strange = ", ".join(f"{masking.text(repr(row['word'])):.30} in {row['number']:,}"
                                for row in rows if row["word"] not in known)
            if strange:
                yield Finding(name, NOTE, f"{db.name(name)}.{column.name} has values that no job "
                                          f"knows: {strange} of its newest rows", "the jobs act on "
                                          f"{', '.join(known)}: let your app write these, or a "
                                          "view show them")


# What was found, for the runs that follow

def note(db) -> list[Finding]:
    """Look, write down in which tables something is wrong, and return what."""
    found = look(db)
    value = " ".join([VERSION, *sorted({f"{each.table}:{each.act}" for each in found})])
    if facts(db).get(FIT) != value:
        db.upsert("meta", {"name": FIT}, {"value": value})
    return found


def known(db) -> list[Finding] | None:
    """What was noted; None where this version has not looked."""
    version, *wrong = facts(db).get(FIT, "").split() or [""]
    if version != VERSION:
        return None
    pairs = [each.partition(":") for each in wrong]
    return [Finding(name, act, f"the table {db.name(name)} is not as the jobs need it", LISTED)
            for name, _, act in pairs]


def forget(db) -> None:
    """The next run looks again: something was not as it was found to be."""
    with suppress(DatabaseError):
        db.execute("DELETE FROM {meta} WHERE name = :name", name=FIT)


def works(tables: str) -> dict[str, str]:
    """{table: marks} of the `tables` of a job: `users= audit_logs+`."""
    found: dict[str, str] = {}
    for word in tables.split():
        name = word.rstrip("=+-")
        found[name] = found.get(name, "") + word[len(name):]
    return found


def concerned(tables: str, found: list[Finding]) -> list[Finding]:
    """Those of the findings that matter for a job with these `tables`."""
    marks = works(tables)
    return [each for each in found if each.table in marks and each.act in MARKS
            and (not MARKS[each.act] or set(MARKS[each.act]) & set(marks[each.table]))
            and not (each.act == PURGE and "-" in marks.get("users", ""))]


def need(db, tables: str, store: bool) -> None:
    """JobsError when something is wrong that the job needs. `store`: it is no dry run, so what is
    found out may be written down."""
    noted = known(db)
    before = concerned(tables, noted or [])
    if noted is not None and not before:
        return
    wrong = concerned(tables, note(db) if store else look(db))
    if not store:
        wrong = wrong or [each for each in before if each.act in TRIED]
    if wrong:
        raise JobsError(f"nothing was done: {in_words(wrong)}")


def in_words(found: list[Finding]) -> str:
    """The first of them in a sentence; what to do only where it is one thing."""
    first = found[0]
    if len(found) == 1:
        return f"{first.what}: {first.fix}"
    return f"{first.what}; and {len(found) - 1} more: {LISTED}"
