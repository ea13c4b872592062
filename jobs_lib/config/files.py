"""Reading config.ini and .env: text to values with line numbers, and what makes no sense in them.

Neither quotes what it could not read: it may be half of a password.
"""
from __future__ import annotations

import os

SHOWN = 60
# no files, and read all the same: `<(...)`
STREAMS = ("/dev/null", "/dev/stdin", "/dev/fd/", "/proc/self/fd/")


def read_ini(path: str, problems: list[str], begins: dict | None = None) -> dict | None:
    """What `parse_ini` finds in a file, or None when there is no such file."""
    text = _text(path, problems)
    return None if text is None else parse_ini(text, path, problems, begins)


def parse_ini(text: str, path: str, problems: list[str], begins: dict | None = None) -> dict:
    """{section: {option: (value, line number)}}. Adds to `problems`, and to `begins` the line on
    which each section begins.

    `option = value`; comments have lines of their own and begin with `#` or `;`, so that both may
    stand in a password; a line that begins with a space goes on with the value before it.
    """
    values: dict = {}
    section = option = None
    stray: list[int] = []
    for number, line in enumerate(text.split("\n"), 1):
        words = line.strip()
        if not words or words[0] in "#;":
            continue
        if line[0] in " \t" and option:                          # a value goes on
            value, first = values[section][option]
            values[section][option] = (f"{value}\n{words}", first)
        elif words[0] == "[" and words[-1] == "]":
            section, option = words[1:-1].strip(), None
            values.setdefault(section, {})
            if begins is not None:
                begins.setdefault(section, number)
        elif section is None:
            stray.append(number)
        elif "=" not in words:
            problems.append(f"{path} line {number}: expected option = value in [{section}]")
            option = None
        else:
            name, _, value = words.partition("=")
            option = name.strip().lower()
            if option in values[section]:
                problems.append(f"[{section}] {shown_name(option)} is set twice ({path} lines "
                                f"{values[section][option][1]} and {number}): keep one")
            values[section][option] = (value.strip(), number)
    if stray:                                       # once, of a whole page that was pasted, too
        more = f", {len(stray)} such lines" if len(stray) > 1 else ""
        problems.append(f"{path} line {stray[0]}: expected a [section] first{more}")
    return values


def read_dotenv(path: str, problems: list[str]) -> dict:
    """{JOBS_...: (value, line number)} of a `.env` file. Adds to `problems`. Other variables are
    left alone."""
    if not os.path.isfile(path):
        return {}
    text = _text(path, problems)
    if text is None or "JOBS_" not in text:          # the web app's own: nothing in it is for us
        return {}
    try:
        from dotenv.parser import parse_stream
    except ImportError:
        from jobs_lib.paths import way_to
        problems.append(f"{path} needs python-dotenv, which is not installed: "
                        f"{way_to('python-dotenv')}, or move its settings into config.ini")
        return {}
    from io import StringIO

    values: dict = {}
    for binding in parse_stream(StringIO(text)):
        written = binding.original.string
        line = binding.original.line + written[:len(written) - len(written.lstrip())].count("\n")
        if binding.error or (binding.key and binding.value is None
                             and binding.key.startswith("JOBS_")):
            problems.append(f"{path} line {line}: expected NAME=value; put a value with spaces or "
                            "quotes into 'single quotes'")
        elif binding.key and binding.key.startswith("JOBS_"):
            if binding.key in values:
                problems.append(f"{shown_name(binding.key)} is set twice ({path} lines "
                                f"{values[binding.key][1]} and {line}): keep one")
            values[binding.key] = (binding.value, line)
    return values


def shown_name(name: str) -> str:
    """An option's name as it may be shown; what cannot be one is left out, since it may be a part
    of a secret."""
    return name if name.replace(".", "", 1).isidentifier() and len(name) <= SHOWN else "(no name)"


def _text(path: str, problems: list[str]) -> str | None:
    """The file's text with plain line ends, "" when it cannot be read, None when it is not
    there."""
    try:
        if not os.path.isfile(path) and os.path.exists(path) and not path.startswith(STREAMS):
            # to open a named pipe waits for its writer
            problems.append(f"{path} is not a file: name your config.ini")
            return ""
        with open(path, "rb") as file:
            data = file.read()
        return data.decode("utf-8-sig").replace("\r\n", "\n").replace("\r", "\n")
    except FileNotFoundError:
        return None
    except OSError as error:
        problems.append(f"{path} cannot be read: {error.strerror}")
    except UnicodeDecodeError as error:
        if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
            where = "is in UTF-16"
        else:
            where = f"line {error.object[:error.start].count(10) + 1} is not in UTF-8"
        problems.append(f"{path} {where}: save it as UTF-8")
    return ""
