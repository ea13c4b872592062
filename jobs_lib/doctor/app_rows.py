"""What only the rows of an app's tables show: times that read as 1970, as 2000 or as none, and
words of the app's own that read as one that the jobs work on."""
from __future__ import annotations

from jobs_lib import clock, masking
from jobs_lib.database.schema import app_tables, tables
from jobs_lib.errors import DatabaseError
from jobs_lib.monitoring.sampled_rows import read_as, sampled_rows
from jobs_lib.monitoring.unknown_words import WAITING
from jobs_lib.output.findings import ok, warning
from jobs_lib.records import namedtuple

from . import NothingToAsk, judge

LOOKED_AT = 200             # rows of a table, from either end
SAMPLE = 30                 # characters of a value
TIMES = ("time", "now", "date")
# what a column that is NOT NULL has for none: the first second, or a default that is no zero date
EPOCH, MILLENNIUM = (1969, 1970), "2000-01-01 00:00:00"
NONE = "0000-00-00"         # which the jobs take for none
EXPRESSIONS = "docs/adoption.md, Expressions"

Value = namedtuple("Value", "read source")
Value.__doc__ = "What is read of a column of ours, and what the app's column has, in one row."


def times(installation):
    """Columns with values that are no times, or of 1970."""
    db = installation.database()
    found: list = []
    for name, there in db.columns_of(app_tables.TABLES).items():
        ours = [column.name for column in tables.table(name).columns
                if column.type in TIMES and column.name in there]
        for column, values in _values(db, name, ours).items():
            found += filter(None, [_of_times(db, name, column, values)])
    yield from found or [ok("the times of the app's rows are times")]


def _of_times(db, name: str, column: str, values: list):
    """The finding about one column, or None."""
    shown = db.name.shown(name, column)
    given = {value: _moment(str(value.read)) for value in values
             if value.read and not str(value.read).startswith(NONE)}
    early = [value for value in values if (moment := given.get(value))
             and (moment.year in EPOCH or clock.text(moment) == MILLENNIUM)]
    wrong = [value for value in values if value in given
             and (given[value] is None or _is_unlike(db, value.read))]
    unread = [value for value in values if value.read is None and value.source not in (None, "", 0)]
    engine = judge(db.dialect)
    if early:
        is_epoch = given[early[0]].year in EPOCH
        none = "1970-01-01 00:00:00" if is_epoch else MILLENNIUM
        return warning(f"{shown} reads as {none[:4]} in {_some(early, values)}",
                       "To the jobs that is long past: whatever depends on it is due at once, such "
                       "as deletion or expiry.",
                       "Where that stands for no time, let it read as NULL by an expression in "
                       f"[columns], such as {engine.FROM_EPOCH.format('NULLIF(ends, 0)')} for "
                       "seconds, "
                       f"or NULLIF(ends, '{none}'), with a line `write`: "
                       f"{EXPRESSIONS}.")
    if wrong:
        return warning(f"{shown} is not a time such as 2026-11-24 15:05:00 in "
                       f"{_some(wrong, values)}",
                       "It compares wrongly with a time: whatever depends on it is due too early, "
                       "or never.",
                       "Let it be read as one by an expression in [columns], such as "
                       f"{engine.FROM_EPOCH.format('made')} for seconds since 1970, or "
                       f"{engine.FROM_TEXT.format('made')}: {EXPRESSIONS}.")
    # one value alone may stand for no time: NULLIF(ends, '9999-12-31')
    if len(unread) == len(values) and len({value.source for value in unread}) > 1:
        return warning(f"{shown} reads as NULL in {_some(unread, values)}",
                       "Whatever depends on it is never due.",
                       f"Correct the expression: {EXPRESSIONS}.")
    return None


def _moment(text: str):
    """The time, or the beginning of the day; None for what is neither."""
    return clock.parse_any(f"{text} 00:00:00" if len(text) == len("2026-11-24") else text)


def _is_unlike(db, value) -> bool:
    """Whether a text that is a time compares otherwise than ours, where times are text."""
    text = str(value)
    return db.dialect.any_type and len(text) > 10 and text[10] != " "


def _some(found: list, values: list) -> str:
    one = found[0].read if found[0].source is None else found[0].source
    sample = masking.text(str(one))[:SAMPLE]
    return f"{len(found)} of {len(values)} rows that were looked at, such as {sample!r}"


def _values(db, name: str, columns: list) -> dict[str, list]:
    """{column: Values} of some rows, from either end. `source` is of an expression over one
    column."""
    read = {}
    for at, column in enumerate(columns):
        read[f"read_{at}"] = read_as(db, name, column)
        expression = db.name.expression(name, column)
        if expression and len(set(expression.read_columns)) == 1:
            read[f"source_{at}"] = db.dialect.exact(expression.read_columns[0])
    rows = sampled_rows(db, name, read, LOOKED_AT)
    return {column: [Value(row[f"read_{at}"], row.get(f"source_{at}")) for row in rows]
            for at, column in enumerate(columns)}


def words(installation):
    """Words of the app's own that an expression reads as one that a job works on: the app may be
    working on such a row itself."""
    db, found = installation.database(), []
    for name, word in WAITING.items():
        table, _, column = name.partition(".")
        expression = db.name.expression(table, column)
        if not (expression and db.columns(table) and len(set(expression.read_columns)) == 1
                and len(expression.writes) == 1 and not expression.reads_to_write):
            continue
        theirs = expression.read_columns[0]
        try:
            written = db.value(f"SELECT {expression.texts_of_writes(db.dialect)[0]} AS written",
                               value=word)
            rows = db.query(
                f"SELECT DISTINCT {db.dialect.exact(theirs)} AS theirs, "
                f"{expression.text(db.dialect)} AS ours FROM (SELECT * FROM "
                f"{db.dialect.quote(db.name(table))} ORDER BY "
                f"{db.dialect.exact(db.name.column(table, 'id'))} DESC LIMIT {LOOKED_AT}) newest")
        except DatabaseError:               # reported with the schema
            continue
        others = sorted(masking.text(str(row["theirs"]))[:SAMPLE] for row in rows
                        if row["ours"] == word and str(row["theirs"]) != str(written))
        if others:
            found.append(warning(
                f"{db.name(table)}.{theirs} has {', '.join(map(repr, others))}, which "
                f"[columns] {name} reads as {word}",
                "If your app has such a row in hand itself, a job works on it, too: a mail would "
                "be sent twice.",
                "Unless these only wait, let the expression read them as a word that no job knows, "
                f"such as 'by_app': such rows are left alone. {EXPRESSIONS}."))
    if not (found or db.name.expressions):
        raise NothingToAsk
    yield from found
