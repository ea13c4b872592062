"""Reading config.ini and .env: text to values with line numbers, and what makes no sense in them.
That is not quoted: it may be half of a password.

Our own few lines, and not configparser, for the line numbers and a cheap tick
(docs/dev/decisions.md, "Reading config.ini").
"""
from __future__ import annotations

import os

from jobs_lib.folders import way_to_packages
from jobs_lib.records import namedtuple

SET, ENVIRONMENT, DOTENV, FILE, DEFAULT = "--set", "environment", ".env", "file", "default"
LONGEST_NAME, MOST_LINES = 60, 5  # that are shown

Written = namedtuple("Written", "text origin place")
Written.__doc__ = """What is set for an option, as text; by what, and where that is, in words."""


def parse_ini(text: str, path: str, problems: list[str], known=lambda section: ()) -> dict:
    """{section: {option: Written}}; `problems` gets a sentence for what makes no sense,
    with no more of a line than an option that is `known` of its section.

    `option = value`; comments have lines of their own and begin with `#` or `;`, so that both may
    stand in a password; a line that begins with a space goes on with the value before it. Below a
    [section] without its end nobody knows what the lines belong to: they are left out.
    """
    found: dict = {}
    values: dict = {}
    section, option, wrong, is_lost = "", "", [], False
    for number, line in enumerate(text.split("\n"), 1):
        words = line.strip()
        name, equals, value = (part.strip() for part in words.partition("="))
        if not words or words[0] in "#;" or (is_lost and words[0] != "["):
            continue
        if line[0] in " \t" and option:  # a value goes on
            values[option] = Written(f"{values[option].text}\n{words}", *values[option][1:])
        elif words[0] == "[":
            section, option, is_lost = words[1:-1].strip(), "", words[-1] != "]"
            if is_lost:
                problems.append(f"{path} line {number}: the closing ] is missing")
            else:
                values = found.setdefault(section, {})
        elif not (section and equals):
            option = ""
            name = words.replace(":", " ").partition(" ")[0].lower()
            wrong.append(f"{number} ({name} without =)" if name in known(section) else str(number))
        else:
            option = name.lower()
            if option in values:
                problems.append(f"[{section}] {shown_name(option)} is set twice "
                                f"({values[option].place} and {number}): keep one")
            values[option] = Written(value, FILE, f"{path} line {number}")
    if wrong:  # a whole page may have been pasted
        problems.append(f"{path} line {', '.join(wrong[:MOST_LINES])}: expected [section], or "
                        "option = value below one")
    return found


def read_dotenv(path: str, problems: list[str]) -> dict:
    """{JOBS_...: Written} of a `.env` file. Adds to `problems`."""
    text = read_text(path, problems) if os.path.isfile(path) else None
    if text is None or "JOBS_" not in text:  # the web app's own: nothing in it is for us
        return {}
    try:
        from dotenv.parser import parse_stream
    except ImportError:
        problems.append(f"{path} needs python-dotenv, which is not installed: "
                        f"{way_to_packages()}, or move its settings into config.ini")
        return {}
    from io import StringIO

    values: dict = {}
    for binding in parse_stream(StringIO(text)):
        is_ours = binding.key and binding.key.startswith("JOBS_")
        written = binding.original.string  # with the empty lines before it
        line = binding.original.line + written[:len(written) - len(written.lstrip())].count("\n")
        if binding.error or (is_ours and binding.value is None):
            problems.append(f"{path} line {line}: expected NAME=value; put a value with spaces or "
                            "quotes into 'single quotes'")
        elif is_ours:
            values[binding.key] = Written(binding.value, DOTENV, f"{path} line {line}")
    return values


def shown_name(name: str) -> str:
    """An option's name; what cannot be one may be a part of a secret."""
    return (name if name.replace(".", "", 1).isidentifier() and len(name) <= LONGEST_NAME
            else "(no name)")


def read_text(path: str, problems: list[str]) -> str | None:
    """The file's text with plain line ends, "" when it cannot be read, None when it is not
    there."""
    try:
        with open(path, encoding="utf-8-sig") as file:
            return file.read()
    except FileNotFoundError:
        return None
    except OSError as error:
        problems.append(f"{path} cannot be read: {error.strerror}")
    except UnicodeDecodeError as error:
        line = error.object[:error.start].count(b"\n") + 1
        problems.append(f"{path} line {line} is not in UTF-8: save it as UTF-8")
    return ""
