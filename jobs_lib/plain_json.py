"""The JSON of a tick that finds nothing to do, without the module `json`: with `re` and `enum` that
takes 4 ms to load, a twelfth of such a tick.

Plain texts, whole numbers and counts are written and read here; for whatever else there is, `json`
is loaded.
"""
from __future__ import annotations

WORDS = {None: "null", False: "false", True: "true"}


def dumps(value) -> str:
    """What `json.dumps(value, default=str)` returns."""
    kind = type(value)
    if kind is str and value.isascii() and value.isprintable() and not (
            '"' in value or "\\" in value):
        return f'"{value}"'
    if kind is int:
        return str(value)
    if value is None or kind is bool:
        return WORDS[value]
    if kind is dict and all(map(_is_name, value)):
        return "{" + ", ".join([f'"{name}": {dumps(each)}' for name, each in value.items()]) + "}"
    import json
    return json.dumps(value, default=str)


def _is_name(key) -> bool:
    return type(key) is str and key.isidentifier() and key.isascii()


def loads(text):
    """What `json.loads(text)` returns, or raises."""
    if text in ("{}", "[]"):
        return {} if text == "{}" else []
    found = _counts(text) if isinstance(text, str) else None
    if found is not None:
        return found
    import json
    return json.loads(text)


def _counts(text: str) -> dict | None:
    """The value of `{"sent": 0, "failed": 2}`, as `dumps` writes it; None for any other text."""
    if not (text.isascii() and text[:1] == "{" and text[-1:] == "}"):
        return None
    found = {}
    for part in text[1:-1].split(", "):
        name, _, number = part.partition(": ")
        if not (name[:1] == name[-1:] == '"' and name[1:-1].isidentifier() and number.isdecimal()
                and (number == "0" or number[0] != "0") and len(number) < 19):
            return None
        found[name[1:-1]] = int(number)
    return found
