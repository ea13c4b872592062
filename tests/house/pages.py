"""README, docs and the like as these tests see them: code, links, headings, and what is wrong with
a piece of code."""
from __future__ import annotations

import re
from collections import namedtuple
from functools import cache
from pathlib import Path

from jobs_lib import catalogue
from jobs_lib import commands as command_modules
from jobs_lib.cli import arguments
from jobs_lib.config import settings
from jobs_lib.config.loader import CONFIG_VARIABLE, Config, Sources, variable_name
from jobs_lib.database.schema import NAMES
from jobs_lib.database.schema.tables import table
from jobs_lib.errors import JobsError
from jobs_lib.launch import by_hand
from tests.house.source import ROOT

Code = namedtuple("Code", "line text language")         # language: None for code within a sentence
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])
PLACEHOLDERS = {"JOB": "retry_forwards", "COMMAND": "list", "ID": "16", "FILE": "config.ini",
                "KIND": "overflow_warning"}
COMMAND = re.compile(r"(?<![\w-])jobs\.py ((?:'[^']*'|[^`'|&;()<>#])+)")
ASSIGNED = re.compile(r"([a-z_]+) = ([^']*)\Z")
NOT_OURS = ("innodb_flush_log_at_trx_commit", "synchronous")          # settings of other programs


def name(page: Path) -> str:
    return str(page.relative_to(ROOT))


def parts(text: str) -> tuple[list[Code], list[tuple[int, str]]]:
    """(the code of a page: fenced and indented lines and spans, its prose line by line without
    fences)."""
    code, prose, fence = [], [], None
    for number, line in enumerate(text.split("\n"), 1):
        mark = re.match(r"\s*```(\w*)", line)
        if mark:
            fence = (mark[1] or "text") if fence is None else None
        elif fence is not None:
            code.append(Code(number, line.strip(), fence))
        elif line.startswith("    ") and not re.match(r"\s+(\d+\.|[-*])\s", line):
            code.append(Code(number, line.strip(), "text"))
        else:
            prose.append((number, line))
    code += [Code(number, " ".join(span.split()), None) for number, span in _spans(prose)]
    return code, prose


def _spans(prose: list[tuple[int, str]]):
    """(line, text) of each code span; one may go on in the next line."""
    whole = "\n".join(line for _, line in prose)
    numbers = [number for number, _ in prose]
    for found in re.finditer(r"(?<!`)`([^`]+)`(?!`)", whole):
        yield numbers[whole.count("\n", 0, found.start())], found[1]


def slugs(text: str) -> set[str]:
    """What a link may name behind `#`."""
    titles = re.findall(r"(?m)^#+ (.*)$", text)
    return {re.sub(r"[^\w\- ]", "", title.lower()).strip().replace(" ", "-") for title in titles}


def links(text: str) -> list[str]:
    """The targets of all links, those within code left out."""
    prose = "\n".join(line for _, line in parts(text)[1])
    return re.findall(r"\]\(([^)\s]+)\)", re.sub(r"`[^`]+`", "code", prose))


# What is wrong with a piece of code: a sentence, or "".

def commands(text: str) -> list[list[str]]:
    """The words of each `jobs.py ...` in it, the placeholders replaced. What stands behind two
    spaces explains it."""
    found = [match.partition("  ")[0].split() for match in COMMAND.findall(text)]
    return [[PLACEHOLDERS.get(word.strip("[]"), word) for word in words if word != "..."]
            for words in found
            if words and not words[0].endswith(":")]          # `jobs.py run-due: ...` is a message


def wrong_command(words: list[str]) -> str:
    """Parsed as the program parses it."""
    words = list(words)
    if "--config" in words:
        at = words.index("--config")
        del words[at:at + 2]
    first, rest = (words[0], words[1:]) if words else ("", [])
    if not words or first in ("--help", "--version", "help"):
        return ""
    parser = arguments._parser(first, "")
    if first in command_modules.names():
        command_modules.load(first).arguments(parser)
    elif first in catalogue.names():
        by_hand.arguments(parser)
    else:
        return f"there is no job or command {first}"
    if rest == ["--help"]:
        return ""
    try:
        args = parser.parse_args(rest)
        job = catalogue.load(first) if first in catalogue.names() else None
        if isinstance(getattr(args, "job", None), str):
            job = catalogue.load(args.job)
        Config("config.ini", Sources({}, {}, {}, [], False)).with_overrides(getattr(args, "set",
                                                                                    []), job)
    except JobsError as error:
        return str(error)
    return ""


@cache
def all_options() -> frozenset:
    """Every `--option` of any job or command."""
    found = {"--help", "--version", "--config"}
    parser = arguments._parser("x", "")
    by_hand.arguments(parser)
    parsers = [parser]
    for command in command_modules.names():
        parsers.append(arguments._parser(command, ""))
        command_modules.load(command).arguments(parsers[-1])
    return frozenset(found | {word for one in parsers for action in one._actions
                              for word in action.option_strings})


@cache
def sections() -> dict:
    """{section: {option: its declaration}}; any name may stand in [tables]."""
    jobs = {job.name: settings.job_options(job) for job in catalogue.load_all()}
    return {**settings.SECTIONS, **jobs, settings.TABLES: dict.fromkeys(NAMES)}


def wrong_setting(section: str | None, option: str, value: str | None) -> str:
    """Whether [section] has the option, or any section if none is given, and takes the value."""
    known = sections()
    if section is not None and section not in known:
        return f"there is no section [{section}]"
    names = (settings.TABLES,)
    places = [known[section]] if section else [options for title, options in known.items()
                                               if title not in names]
    if not option:
        return ""
    declared = [options[option] for options in places if option in options]
    if not declared:
        return f"[{section or '...'}] has no option {option}"
    if value is None or section in names:
        return ""
    return "" if any(_takes(one, value)
                     for one in declared) else f"{option} does not take {value!r}"


def _takes(option, value: str) -> bool:
    try:
        option.kind.parse(value)
    except ValueError:
        return False
    return True


def wrong_span(text: str) -> str:
    """What is wrong with code in a sentence: an option, a setting, a variable, a column."""
    if re.match(r"--?[a-z]", text):
        unknown = [word for word in re.findall(r"(?<!\S)--?[a-z][\w-]*", text)
                   if word not in all_options()]
        return f"there is no option {unknown[0]}" if unknown else ""
    setting = re.match(r"\[([a-z_]+)\](?: ([a-z_]+)(?: = (.*))?)?\Z", text)
    if setting:
        return wrong_setting(setting[1], setting[2] or "", setting[3])
    assigned = ASSIGNED.match(text)
    if assigned and assigned[1] not in NOT_OURS:
        return wrong_setting(None, assigned[1], assigned[2])
    variable = re.match(r"JOBS_[A-Z_]+\Z", text)
    if variable and text != CONFIG_VARIABLE and text not in {
            variable_name(section, option) for section, options in sections().items()
            for option in options}:
        return f"there is no variable {text}"
    column = re.match(r"([a-z_]+)\.([a-z_]+)\Z", text)
    if column and column[1] in NAMES and column[2] not in {one.name
                                                           for one in table(column[1]).columns}:
        return f"{column[1]} has no column {column[2]}"
    return ""


FORBIDDEN = (
    (r"\b(?:issues?|tickets?)\b(?!_)", "the project's own papers"),
    (r"\bBJ-\d+", "the project's own papers"),
    (r"(?<![\w(/&])#\d+\b", "a number of the tracker"), (r"\bR\d{1,2}\b", "a requirement's number"),
    (r"\b(?:design|contract|tickets|requirements|style|measurements)\.md\b",
     "a page that is not here"),
    ((r"pypi\.org|pythonhosted\.org|npmjs\.|crates\.io|proxy\.golang\.org|rubygems\.org"
      r"|packagist\.org"), "a registry"),
    (r"/work/|/root/|/home/(?!you\b)|/Users/", "a path of somebody's machine"),
)


def forbidden(text: str) -> list[str]:
    """What is in the text and must not be."""
    return [f"{found[0]!r} names {what}" for pattern, what in FORBIDDEN
            for found in re.finditer(pattern, text, re.IGNORECASE if "issue" in pattern else 0)]
