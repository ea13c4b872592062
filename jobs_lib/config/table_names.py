"""`[tables]`: what our tables are called in the database of an app that exists already."""
from __future__ import annotations

from jobs_lib.database.schema import NAMES
from jobs_lib.errors import ConfigError

from . import option_types, settings
from .option_types import Option


def tables(config) -> dict:
    """{our table: theirs} of `[tables]`. ConfigError lists what is wrong."""
    typed = config.typed(settings.TABLES, {name: Option(option_types.identifier, "", "")
                                           for name in NAMES})
    found = {name: getattr(typed, name) for name in NAMES if getattr(typed, name)}
    try:
        prefix = config.section("core").prefix
    except ConfigError:                     # reported with the other mistakes of that section
        prefix = ""
    if problems := _twice(config, found, {name: found.get(name, prefix + name) for name in NAMES}):
        raise ConfigError(*problems)
    return found


def _twice(config, found: dict, names: dict) -> list[str]:
    """Sentences: where two of ours would be one of theirs; case is ignored."""
    seen: dict = {}
    problems = []
    for ours, theirs in names.items():
        other = seen.setdefault(theirs.lower(), ours)
        if other != ours:
            shown = ours if ours in found else other
            place = config.written(settings.TABLES, shown, Option(option_types.identifier, "", "")
                                   ).place
            problems.append(f"[{settings.TABLES}] {shown} = {names[shown]}: {other} and {ours} "
                            f"cannot both have this name ({place})")
    return problems
