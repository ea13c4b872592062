"""What an app's tables have that the jobs cannot work with, by the database's own catalogue: a
column may be there and still not do.

Each finding is a code without a space, for the note in `meta`: `failed_emails.status:not_null`, and
behind another colon what its sentence says besides. `concerns` says for which jobs it matters.
Of a column for which an expression stands (database/expressions.py), the columns that this names
are looked at, and the database is asked whether it takes it.
"""
from __future__ import annotations

import re
from contextlib import suppress

from jobs_lib.errors import Busy, DatabaseError, Lost, Missing, NotGranted, ReadOnly

from . import checks, expression_misfits, foreign_keys, keys, views, written
from .column_types import has_fractions, holds, is_number, listed, named, takes
from .expression_misfits import LOOKED_AT, TIMES
from .references import REFERENCES
from .tables import is_flag, table, words_of

BYTES = re.compile(r"binary|blob|byte")
LARGEST = 2 ** 63 - 1
LONGEST_PACKED = 300        # characters of a database's error in a code
ANY, WRITTEN, CHANGED, DELETED, ADDED = "any", "written", "changed", "deleted", "added"
UPDATED = "updated"
ON_UPDATE = re.compile(r" ON UPDATE \w+(\(\d*\))?", re.IGNORECASE)
VALUES = re.compile(r"\benum\(((?:'(?:[^']|'')*',?)+)", re.IGNORECASE)
# what can be done about a table of the app's to which jobs add rows, whatever does not fit
OWN_AUDIT = ("or let [tables] audit_logs name a table that is not there: `jobs.py migrate` makes "
             "it, for what the jobs write")
# read as whole numbers by the jobs that write them
COUNTED = ("attempts", "failures", "last_code")
GRANT = "ask the database administrator to run GRANT {0} ON {{quoted}} TO {{account}}"
# {kind: (what a job does that it matters for, what is wrong, what to do)}
KINDS = {
    "bits": (ANY, "{column} is a BIT, which is read as bytes", "make it a TINYINT(1)"),
    "bytes": (ANY, "{column} holds bytes, and keys are whole numbers or text",
              "map a column that is, such as a generated one"),
    "unlike": (ANY, "{column} ({0}) and {1} ({2}), which it refers to, compare keys differently",
               "give both the same type and collation, or name the right table in [tables]"),
    "number": (ANY, "{column} holds numbers where a time in UTC belongs",
               "make it a DATETIME, or map a column that is; or name an expression in [columns]"),
    "no_words": (ANY, "{column} holds {0} where words belong ({1})",
                 ("name an expression in [columns] that returns them, such as CASE ... WHEN 1 THEN "
                  "'{2}' ... END, with its line `write COLUMN = ...`")),
    "no_flag": (ANY, "{column} holds {0} where 1 or 0 belongs",
                ("name an expression in [columns] that returns them, such as CASE ... WHEN 'Y' "
                 "THEN 1 ELSE 0 END, with its line `write COLUMN = ...`")),
    "no_number": (ANY, "{column} holds {0} where whole numbers belong",
                  "map a column that holds them, or name an expression in [columns]"),
    "fractions": (WRITTEN, "{column} holds fractions where whole numbers belong",
                  "make it an INTEGER"),
    "touched": (ANY, "{column} changes with each update of its row (ON UPDATE)",
                "take that from the column, or map another"),
    "large": (ANY, "{column} has a number above 2^63 - 1", "the jobs can use only smaller ones"),
    "computed": (WRITTEN, "{column} is computed by the database, and the jobs write it",
                 "map a column that can be written"),
    "view": (WRITTEN, "{column} cannot be written through that view",
             "make it a plain column of the view, or name its table in [tables]"),
    "not_null": (WRITTEN, "{column} is NOT NULL, and the jobs write NULL into it",
                 "let it be NULL"),
    "short": (WRITTEN, "{column} takes {0} characters, and up to {1} are written",
              "make it longer"),
    "enum": (WRITTEN, "{column} is an ENUM that does not have {0}, which the jobs write",
             "add it to its values"),
    "small": (WRITTEN, "{column} takes numbers up to {0}, and up to {1} are written",
              "make it a SMALLINT or larger"),
    "day": (WRITTEN, "{column} is a DATE, and the jobs write times into it", "make it a DATETIME"),
    "capitals": (ANY, "{column} is an ENUM with {0}, and the jobs compare words in lower case",
                 ("spell its values in lower case, or name an expression in [columns], LOWER(...), "
                  "with its line `write COLUMN = :value`")),
    "check": (WRITTEN, "{column} does not take {0}, which the jobs write: CHECK {1}",
              "let it allow that"),
    "required": (ADDED, "{0} of {table} has to be given, and the jobs add rows without it",
                 "give it a default"),
    "read_only": (WRITTEN, "{column} can only be read, and the jobs write it",
                  "add a line `write COLUMN = ...` to it, with :value for what is written"),
    "row_needed": (ADDED, "the `write` of {column} names a column, and the jobs add rows",
                   "let it depend on :value alone"),
    "lacks": (ANY, "{column} names {0}, which the table {table} does not have",
              "correct the expression"),
    "wrong": (ANY, "the database does not take {column} ({0})", "correct the expression"),
    "wrong_write": (WRITTEN, "the database does not take the `write` of {column} ({0})",
                    "correct it"),
    "differs": (WRITTEN, ("{column} does not read what the jobs write: {0} is stored as {2} (in "
                          "{1}), which reads as {3}"),
                "let what is read and its `write` be each other's opposite"),
    "not_taken": (WRITTEN, "{column} writes {0} into {1}, which does not take it: {2}",
                  "let it take that, or write something else"),
    "gives_null": (WRITTEN, "{column} writes NULL into {1} for {0}, and that is NOT NULL",
                   ("let it be NULL, or write something else, such as COALESCE(..., 0), and read "
                    "that as NULL by NULLIF({1}, 0)")),
    "numbers": (ANY, "{column} returns numbers where a time in UTC belongs",
                ("convert them: FROM_UNIXTIME(...) does on MySQL and MariaDB, datetime(..., "
                "'unixepoch') on SQLite")),
    "number_for_word": (ANY, "{column} returns numbers where words belong ({0})",
                        "convert them: CASE ... WHEN 1 THEN '{1}' ... END"),
    "text_for_flag": (ANY, "{column} returns text where 1 or 0 belongs",
                      "convert it: CASE ... WHEN 'Y' THEN 1 ELSE 0 END"),
    "touches": (ANY, "{column} names {0}, which changes with each update of its row (ON UPDATE)",
                "take that from the column, or name another"),
    "computes": (WRITTEN, "{column} writes {0}, which is computed by the database",
                 "let it write a column that can be written"),
    "undeletable": (DELETED, "no row can be deleted through the view {table}",
                    "name its table in [tables]"),
    "shared": (DELETED, "a row that is deleted through the view {table} is one of {0}",
               ("leave that table to the jobs, if only empty; or let no row be deleted through the "
                "view of which alias has which destination: CREATE ALGORITHM = TEMPTABLE VIEW")),
    "kept": (DELETED, "the foreign key {0} of {1} keeps rows of {table} from being deleted",
             "give it ON DELETE CASCADE or SET NULL"),
    "held": (DELETED, "the foreign key {0} of {1} keeps rows of {table} from being deleted",
             "give it ON DELETE SET NULL"),
    "takes": (DELETED, ("the foreign key {0} of {1} deletes its rows with those of {table} (ON "
                        "DELETE CASCADE)"),
              ("give it ON DELETE SET NULL, or switch off the job that deletes those "
               "(docs/adoption.md, Foreign keys and triggers)")),
    "uproots": (DELETED, ("the foreign key {0} of {1} deletes users with rows of {table} (ON "
                          "DELETE CASCADE)"), "give it ON DELETE SET NULL"),
    "elsewhere": (ANY, "{column} refers to {0} by a foreign key, and the jobs take it for {1}",
                  "name the right column in [columns], or the right table in [tables]"),
    "engine": (CHANGED, "the table {table} is {0}, which has no transactions",
               "ALTER TABLE {quoted} ENGINE=InnoDB"),
    **{f"may_not_{word.lower()}": (act, f"{{0}} has no right to {word} {{place}}",
                                   GRANT.format(word + "{only}"))
       for word, act in (("UPDATE", UPDATED), ("DELETE", DELETED), ("INSERT", ADDED))},
}


# of further tables (further.py), by their own names
FURTHER = {
    "no_table": (("[delete_accounts] also names {0}, which is not there, or which the user of "
                 "[core] database may not see"), "correct it, or take it out"),
    "no_column": ("[delete_accounts] also names {0}.{1}, and that table has no such column",
                  "name the column that holds the user's id"),
    "unlike": (("[delete_accounts] also names {0}.{1}, which compares ids differently from the id "
                "of an account"), "give it the same type and collation"),
    "numbers": (("[delete_accounts] also names {0}.{1}, which numbers the rows of that table "
                 "(AUTO_INCREMENT)"), "name the column that holds the user's id"),
    "kept": (("[delete_accounts] also names {0}, and the foreign key {1} of {2} keeps its rows "
              "from being deleted"), ("give it ON DELETE CASCADE or SET NULL, or name {2} before "
                                      "it, if its rows have the user's id")),
    "no_key": ("[delete_accounts] also names {0}, which has no primary key", "give it one"),
    "engine": (("[delete_accounts] also names {0}, which is {1} and has no transactions: a kill "
                "would leave a part of it"), "ALTER TABLE {quoted} ENGINE=InnoDB"),
    "may_not_delete": (("[delete_accounts] also names {0}, and {1} has no right to DELETE from it"),
                       GRANT.format("DELETE")),
    "known": ("[delete_accounts] also names {0}, which the jobs delete and export anyway",
              "take it out"),
}
OF_DELETION = ("engine", "may_not_delete", "kept")      # of these: what an export does not mind


def look(db, works: dict, catalogue: dict) -> list[str]:
    """The codes. `works`: {table: the Work of all jobs on it, together}; `catalogue`: {table:
    {column: facts}}, as Database.catalogue has them."""
    found: list[str] = []
    checks.add(db, catalogue)
    for name, columns in catalogue.items():
        found += _of_table(db, name, columns, works[name])
    found += [_code(one.table, one.column, "unlike", _type_of(column),
                    db.name.shown(one.target, "id"), _type_of(key)) for one in REFERENCES
              if (key := catalogue.get(one.target, {}).get("id"))
              and (column := catalogue.get(one.table, {}).get(one.column))
              and not keys.are_alike(db, column, key)]
    shown = views.look(db, catalogue)
    found += [_code(*each) for each in foreign_keys.look(db, catalogue, shown.bases)]
    found += _shared(db, works, shown)
    return found


def parts(code: str) -> tuple[str, str, str, list[str]]:
    """(table, column, kind, the rest) of a code; without a kind, of what is missing."""
    name, _, rest = code.partition(":")
    name, _, column = name.partition(".")
    kind, *more = rest.split(":")
    return name, column, kind, [_unpacked(word) for word in more]


def concerns(code: str, work) -> bool:
    """Whether a finding matters for what a job does with that table."""
    _, column, kind, _ = parts(code)
    return {ANY: column in work.columns, WRITTEN: column in work.written,
            DELETED: work.deletes, ADDED: work.inserts and (not column or column in work.written),
            CHANGED: bool(work.written or work.inserts or work.deletes),
            # of a job that adds rows, what is written is mostly that
            UPDATED: bool({column} & work.written if column else work.written)
            and not work.inserts}[KINDS[kind][0]]


def is_readable(names, code: str) -> bool:
    """Whether this version knows that kind of finding, with all that its sentence says; what is
    missing it always does."""
    if ":" in code:
        try:
            in_words(names, code)
        except LookupError:
            return False
    return True


def in_words(names, code: str) -> tuple[str, str]:
    """(what is wrong, what to do)."""
    name, column, kind, more = parts(code)
    if name == "further":
        what, fix = FURTHER[kind]
        return what.format(*more), fix.format(*more, quoted=_quoted(more[0]),
                                              account=account(more[-1]))
    shown = names.shown(name, column)
    words = {"table": names(name), "column": shown, "place": shown if column else names(name),
             "only": f" (`{'`, `'.join(names.written(name, column))}`)" if column else "",
             "quoted": _quoted(names(name)), "account": account(more[0] if more else "")}
    _, what, fix = KINDS[kind]
    own = f"; {OWN_AUDIT}" if name == "audit_logs" and kind not in ("kept", "engine") else ""
    if kind not in ("wrong", "wrong_write"):
        more = [re.sub(",(?! )", ", ", each) for each in more]
    return what.format(*more, **words), fix.format(*more, **words) + own


def _quoted(name: str) -> str:
    """A table as it is in a statement for MySQL and MariaDB: the others ask for none of these."""
    return ".".join(f"`{part}`" for part in name.split("."))


def account(user: str) -> str:
    """`jobs@%` as it is in a GRANT: `'jobs'@'%'`."""
    name, _, host = user.rpartition("@")
    return f"'{name}'@'{host}'"


def _type_of(facts: dict) -> str:
    return f"{facts['whole'] or 'of no type'} {facts['collation'] or ''}".strip()


def mends(db, code: str) -> list[str]:
    """The statement that does it, where the column's own declaration says all that it needs."""
    name, column, kind, _ = parts(code)
    if kind not in ("touched", "enum"):
        return []
    theirs = db.dialect.quote(db.name.column(name, column))
    line = next((line.strip().rstrip(",") for line in db.definition(name).splitlines()
                 if line.strip().lower().startswith(f"{theirs} ".lower())), "")
    if kind == "touched":
        changed = ON_UPDATE.sub("", line)
    else:
        ours = next(each for each in table(name).columns if each.name == column)
        facts = db.catalogue([name])[name][column]
        lacks = "".join(f",'{word}'" for word in written.words(name, ours)
                        if not takes(word, facts))
        changed = VALUES.sub(rf"enum(\g<1>{lacks}", line)
    return [f"ALTER TABLE {db.dialect.quote(db.name(name))} MODIFY COLUMN {changed}"
            ] if line else []


def sentence(names, code: str) -> str:
    """Both at once."""
    return ": ".join(in_words(names, code))


def _of_table(db, name: str, columns: dict, work) -> list[str]:
    ours = {column.name: column for column in table(name).columns}
    known = {column: facts for column, facts in columns.items() if column in ours}
    found = []
    for column, facts in known.items():
        for kind, *more in _of_column(name, ours[column], facts, db.dialect.any_type):
            found.append(_code(name, column, kind, *more))
        if refused := [(value, check) for value in written.certain(name, ours[column])
                       if (check := checks.refusing(db, value, facts))]:
            values = ",".join(named(value) for value, _ in refused)
            found.append(_code(name, column, "check", values, checks.short(refused[0][1])))
    if work.inserts:
        given = {theirs.lower() for each in work.written for theirs in db.name.written(name, each)}
        found += [_code(name, "", "required", facts["name"]) for column, facts in columns.items()
                  if column not in ours and facts["name"].lower() not in given
                  and not (facts["nullable"] or facts["given"] or facts["computed"])]
    first = next(iter(columns.values()))
    if first["is_view"]:
        found += _of_view(db, name, known, work)
    elif not has_transactions(first["engine"]):
        found.append(_code(name, "", "engine", first["engine"]))
    if name in db.name.expressions:
        found += [_code(name, *each)
                  for each in expression_misfits.look(db, name, ours, columns, work)]
    return found + _of_rows(db, name, ours, known)


def has_transactions(engine: str | None) -> bool:
    """Whether a table of that engine has; without a name, as in SQLite, all have."""
    return not engine or engine.lower() in ("innodb", "rocksdb", "xtradb")


def packed(word) -> str:
    """A word as a part of a code, which has neither spaces nor colons."""
    from urllib.parse import quote
    return quote(" ".join(str(word).split())[:LONGEST_PACKED], safe="()'`,.=*/<>@[]{}\"+-|&;!?")


def _unpacked(word: str) -> str:
    if "%" not in word:
        return word
    from urllib.parse import unquote
    return unquote(word)


def _of_column(table: str, ours, facts: dict, any_type: bool):
    kind = facts["type"]
    if kind == "bit":
        yield ("bits",)
    else:
        # what another type holds where any column takes any value, its rows tell
        held = holds(kind)
        told = held in ("numbers", "text") or not any_type
        if (words := words_of(ours)) and held != "text" and told:
            yield "no_words", held, ",".join(words), words[0]
        if is_flag(ours) and held != "numbers" and told:
            yield "no_flag", held
        if _counts(ours) and told and held != "numbers":
            yield "no_number", held
        elif ours.name in COUNTED and has_fractions(facts) and not any_type:
            yield ("fractions",)
    if ours.type in ("id", "ref") and BYTES.search(kind):
        yield ("bytes",)
    if ours.type in TIMES and is_number(kind):
        yield ("number",)
    if facts["touched"]:
        yield ("touched",)
    if facts["computed"]:
        yield ("computed",)
    if ours.null and not facts["nullable"]:
        yield ("not_null",)
    if kind == "date" and ours.type in ("time", "now") and not any_type:
        yield ("day",)
    unfit = [value for value in written.values(table, ours)
             if not takes(value, facts)]
    there, words = listed(facts), words_of(ours)
    if there and (lacks := [word for word in unfit if word in written.words(table, ours)]):
        yield "enum", ",".join(map(named, lacks))
    elif unfit and facts["largest"] is not None:
        yield "small", int(facts["largest"]), max(unfit)
    elif texts := [value for value in unfit if isinstance(value, str)]:
        yield "short", int(facts["longest"]), max(map(len, texts))
    if other := [word for word in there if word not in words and word.lower() in words
                 and keys.folds(facts["collation"])]:
        yield "capitals", ",".join(other)


def _counts(ours) -> bool:
    """Whether a column of ours holds whole numbers."""
    return ours.type in ("int", "big") and not is_flag(ours)


def _of_view(db, name: str, known: dict, work) -> list[str]:
    """What the server says that it would not do, asked without doing it."""
    expressions = db.name.expressions.get(name, {})
    columns = [*known, *(column for column in expressions if expressions[column].writes)]
    found = [_code(name, column, "view") for column in columns if column in work.written
             and _is_refused(db, f"UPDATE {{{name}}} SET {column} = {column} WHERE 1 = 0")]
    # what shows the destinations of aliases has no rows of its own to delete
    if work.deletes and name != "alias_destinations" and _is_refused(
            db, f"DELETE FROM {{{name}}} WHERE 1 = 0"):
        found.append(_code(name, "", "undeletable"))
    return found


def _shared(db, works: dict, shown: views.Views) -> list[str]:
    """Views through which rows would be deleted that are something else to the jobs, too: what an
    owner has made."""
    bases = shown.bases
    return [_code(name, "", "shared", db.name(other)) for name in bases
            if name in shown.deletable and works[name].deletes for other in foreign_keys.OWNED
            if other != name and bases[name] & bases.get(other, set())]


def _is_refused(db, sql: str) -> bool:
    try:
        db.explain(db.as_text(sql))
    except (Busy, Lost, Missing, NotGranted, ReadOnly):
        return False                    # that says nothing of the view
    except DatabaseError:
        return True
    return False


def _of_rows(db, name: str, ours: dict, known: dict) -> list[str]:
    """What only the rows tell: numbers or text in the place of the other in a column that takes
    anything, and ids that do not fit."""
    found = []
    if db.dialect.any_type:
        found += _of_values(db, name, ours, known)
    elif "unsigned" in (known.get("id") or {"whole": ""})["whole"]:
        with suppress(NotGranted):          # a job that only adds rows needs no right to read them
            most = db.value(db.as_text(f"SELECT MAX(id) FROM {{{name}}}"))
            found += [_code(name, "id", "large")] if most and int(most) > LARGEST else []
    return found


def _of_values(db, name: str, ours: dict, known: dict) -> list[str]:
    """Columns whose type says nothing, by the values of some rows."""
    held = {column: holds(facts["type"]) for column, facts in known.items()}
    looked_at = [column for column in known
                 if (ours[column].type in TIMES and not is_number(known[column]["type"]))
                 or (is_flag(ours[column]) and held[column] != "text")
                 or ((words_of(ours[column]) or _counts(ours[column]))
                     and held[column] not in ("numbers", "text"))]
    if not looked_at:
        return []
    kinds = ", ".join(f"TYPEOF({column}) AS {column}" for column in looked_at)
    # as text, since it is the look of no job
    rows = db.query(db.as_text(f"SELECT {kinds} FROM {{{name}}} LIMIT {LOOKED_AT}"))
    found = []
    for column in looked_at:
        types = {row[column] for row in rows}
        words = words_of(ours[column])
        if is_flag(ours[column]):
            found += [_code(name, column, "no_flag", "text")] if "text" in types else []
        elif _counts(ours[column]):
            # one alone may be a bad row
            found += [_code(name, column, "no_number", "text")] if types - {"null"} == {"text"
                                                                                        } else []
        elif types & {"integer", "real"}:
            found.append(_code(name, column, "no_words", "numbers", ",".join(words), words[0])
                         if words else _code(name, column, "number"))
    return found


def _code(name: str, column: str, kind: str, *more) -> str:
    return ":".join([f"{name}.{column}" if column else name, kind, *map(packed, more)])
