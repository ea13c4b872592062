"""What a column of the app's holds, takes and makes of a value, by the facts that the catalogue
has of it (Database.catalogue)."""
from __future__ import annotations

import re
from decimal import ROUND_HALF_UP, Decimal

from .keys import folds

NUMBERS = re.compile(r"int|real|floa|doub|decimal|numeric|year|bool")
FRACTIONS = re.compile(r"real|floa|doub|(decimal|numeric)\(\d+, ?[1-9]")
INTEGERS = re.compile(r"int|year")
TEXTS = re.compile(r"char|clob|text|enum|^set")
WHOLE = re.compile(r"-?\d+(\.\d+)?")
LISTED = ("enum", "set")
LONGEST_NAMED = 64          # characters of a value in a sentence


def is_number(kind: str) -> bool:
    """Whether a type is one of numbers."""
    return bool(NUMBERS.search(kind))


def holds(kind: str) -> str:
    """`numbers`, `text`, or the type itself in capitals. SQLite, too, goes by the parts of its
    name, and by `int` first."""
    if "int" in kind or (is_number(kind) and not TEXTS.search(kind)):
        return "numbers"
    return "text" if TEXTS.search(kind) else kind.upper()


def has_fractions(facts: dict) -> bool:
    """Whether a type of numbers has others than whole ones."""
    return bool(FRACTIONS.search(facts["whole"]))


def listed(facts: dict) -> list[str]:
    """The values of an ENUM or a SET, as they are spelled there; [] of other types."""
    return [word.replace("''", "'") for word in re.findall(r"'((?:[^']|'')*)'", facts["whole"])
            ] if facts["type"] in LISTED else []


def takes(value, facts: dict) -> bool:
    """Whether a value fits into it; of NULL, that is another question."""
    if value is None:
        return True
    # of bytes, each counts as a character
    text = value.decode("latin-1") if isinstance(value, bytes) else str(value)
    if those := listed(facts):
        if isinstance(value, int):
            return 0 < value <= len(those)
        parts = [text] if facts["type"] == "enum" else filter(None, text.split(","))
        return all(_spelled(part, facts) is not None for part in parts)
    if facts["longest"] is not None:
        return len(text) <= int(facts["longest"])
    return (facts["largest"] is None or not WHOLE.fullmatch(text)
            or Decimal(text) <= int(facts["largest"]))


def stored(value, facts: dict):
    """What it makes of a value that it takes."""
    if isinstance(value, Decimal):
        value = int(value) if value == int(value) else float(value)
    kind = facts["type"]
    if value is None or isinstance(value, bytes):
        return value
    if those := listed(facts):
        return (those[value - 1] if isinstance(value, int) else
                ",".join(_spelled(part, facts) or part for part in str(value).split(",")))
    if INTEGERS.search(kind) and WHOLE.fullmatch(str(value)):
        return int(Decimal(str(value)).quantize(Decimal(1), ROUND_HALF_UP))
    return str(value) if TEXTS.search(kind) else value


def named(value) -> str:
    """A value in a sentence: a word for NULL, for what shows nothing, and for a long text."""
    text = value.decode(errors="replace") if isinstance(value, bytes) else str(value)
    if len(text) > LONGEST_NAMED:
        return f"a text of {len(text)} characters"
    return "NULL" if value is None else text or "''"


def _spelled(word: str, facts: dict) -> str | None:
    """A word as the ENUM or SET has it, or None."""
    fold = str.casefold if folds(facts["collation"]) else str
    return next((one for one in listed(facts) if fold(one) == fold(word)), None)
