"""`[tables]` and `[columns]`: what our names are called in the database of an app that exists
already."""
from __future__ import annotations

from jobs_lib import catalogue
from jobs_lib.database.schema import NAMES, app_tables, is_name
from jobs_lib.errors import ConfigError, DatabaseError

from . import option_types, settings
from .option_types import Option

ONE_FILE = "an SQLite database is one file: name a table in it"


def tables(config) -> dict:
    """{our table: theirs} of `[tables]`. ConfigError lists what is wrong."""
    found = _read(config, settings.TABLES, list(NAMES), option_types.table)
    try:
        prefix = config.section("core").prefix
    except ConfigError:                     # reported with the other mistakes of that section
        prefix = ""
    _refuse([*_elsewhere(config, found), *_twice(config, settings.TABLES, found, {
        name: found.get(name, prefix + name) for name in NAMES})])
    return found


def _elsewhere(config, found: dict) -> list[str]:
    """Sentences: what cannot be in another database of the server."""
    problems = []
    for name, theirs in found.items():
        why = "" if "." not in theirs else _is_here(config, name)
        if why:
            problems.append(f"[{settings.TABLES}] {name} = {theirs}: {why} "
                            f"({_place(config, settings.TABLES, name)})")
    return problems


def _is_here(config, name: str) -> str:
    """Why a table can only be in the database of [core], or ""."""
    if name not in app_tables.TABLES:
        return "`migrate` makes this table itself, in the database of [core] database"
    return ONE_FILE if _is_one_file(config) else ""


def _is_one_file(config) -> bool:
    """Whether the database is one file, so that no statement can name another database."""
    from jobs_lib.database import dialects
    try:
        return not dialects.load(config.section("core").database).other_schemas
    except (ConfigError, DatabaseError):    # reported with the other mistakes of that section
        return False


def also(config) -> tuple:
    """`[delete_accounts] also`, where it is set. ConfigError lists what is wrong."""
    job, name = settings.ALSO
    found = config.value(job, name, settings.job_options(catalogue.load(job)))
    place = config.written(job, name, settings.NOTHING).place
    _refuse([f"[{job}] {name} = {each.table}.{each.column}: {ONE_FILE} ({place})"
             for each in found if "." in each.table and _is_one_file(config)])
    return found


def columns(config) -> dict:
    """{our table: {our column: theirs}} of `[columns]`, of what has another name, or for which an
    expression stands. ConfigError lists what is wrong."""
    from jobs_lib.database.schema.tables import column_names, table

    known = {name: column_names(name) for name in NAMES}
    _refuse(_theirs_for_ours(config, known))
    found = _read(config, settings.COLUMNS, [f"{name}.{column}" for name in known
                                             for column in known[name]], option_types.column)
    renamed: dict = {}
    problems: list[str] = []
    for option, theirs in found.items():
        name, _, column = option.partition(".")
        if name not in app_tables.TABLES:
            problems.append(f"[columns] {option}: `migrate` makes this table itself, and its "
                            "columns have our names: delete this line "
                            f"({_place(config, settings.COLUMNS, option)})")
        elif column in table(name).key and not is_name(theirs):
            problems.append(f"[columns] {option}: expected a name, since the jobs find rows by "
                            f"this column ({_place(config, settings.COLUMNS, option)})")
        elif theirs != column:
            renamed.setdefault(name, {})[column] = theirs
    for name, names in renamed.items():
        all_of_it = {f"{name}.{column}": theirs for column in known[name]
                     if is_name(theirs := names.get(column, column))}
        problems += _twice(config, settings.COLUMNS, found, all_of_it)
    _refuse(problems)
    return renamed


def _theirs_for_ours(config, known: dict) -> list[str]:
    """Sentences: a line of `[columns]` that begins with the app's name of a table."""
    values, found = config.sources.values, []
    ours = {theirs.lower(): name for name, (theirs, _) in values.get(settings.TABLES, {}).items()}
    for option, (_, line) in values.get(settings.COLUMNS, {}).items():
        theirs, _, column = option.rpartition(".")
        name = ours.get(theirs)
        if theirs not in known and column in known.get(name, ()):
            found.append(f"[columns] {option}: expected our name of the table; did you mean "
                         f"'{name}.{column}'? ({config.path} line {line})")
    return found


def _refuse(problems: list[str]) -> None:
    if problems:
        raise ConfigError(*problems)


def _read(config, section: str, known: list, kind) -> dict:
    """{option: value} of those that are set."""
    set_here = config.sources.values.get(section, {})
    _refuse([f"[{section}] expected a blank before `write`, so that the line belongs to the column "
             f"above it ({config.path} line {line})" for name, (_, line) in set_here.items()
             if name.startswith("write ")])
    typed = config.typed(section, {name: Option(kind, set_here.get(name, ("",))[0], "")
                                   for name in known})
    return {name: getattr(typed, name) for name in known if getattr(typed, name)}


def _twice(config, section: str, found: dict, names: dict) -> list[str]:
    """Sentences: where two of ours would be one of theirs; case is ignored."""
    seen: dict = {}
    problems = []
    for ours, theirs in names.items():
        other = seen.setdefault(theirs.lower(), ours)
        if other != ours:
            shown = ours if ours in found else other
            way = "" if section == settings.TABLES else _way_out((shown, other, ours), names)
            problems.append(f"[{section}] {shown} = {names[shown]}: {other} and {ours} cannot "
                            f"both have this name{way} ({_place(config, section, shown)})")
    return problems


def _way_out(options: tuple, names: dict) -> str:
    """How one of the app's columns is read as two of ours, if jobs write at most one of them."""
    from jobs_lib.database.schema.tables import table
    from jobs_lib.database.schema.works_on import of_all
    for option in options:
        name, _, column = option.partition(".")
        if column not in table(name).key and column not in of_all()[name].written:
            return (f"; if it is both, let one be an expression, which is only read: {option} = "
                    f"({names[option]})")
    return ""


def _place(config, section: str, option: str) -> str:
    return config.written(section, option, Option(option_types.identifier, "", "")).place
