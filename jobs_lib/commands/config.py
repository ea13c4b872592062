"""Show, check, set or print the configuration.

  show      each option's value and where it comes from; secrets are masked
  check     every mistake in all sections and jobs, and what is rarely meant
  set       SECTION.OPTION VALUE: checks the value, and changes that line of
            config.ini alone. Leave VALUE out for a secret: it is asked for,
            so that no other user sees it
  example   config.ini with every option, what it means and its default; with
            --short the dozen that matter first
"""
from __future__ import annotations

import os
import stat
import sys
from contextlib import suppress

from jobs_lib import catalogue, folders
from jobs_lib.config import option_named, options_of, settings
from jobs_lib.config.files import DOTENV, ENVIRONMENT, FILE, parse_ini
from jobs_lib.config.secrets import hide_password
from jobs_lib.doctor import Installation
from jobs_lib.doctor.config import mistakes, rarely_meant
from jobs_lib.doctor.files import modes
from jobs_lib.errors import CONFIG, OK, ConfigError, UsageError
from jobs_lib.output.findings import in_full
from jobs_lib.output.layout import wrapped
from jobs_lib.output.terminal import width
from jobs_lib.text import counted, did_you_mean

from ._config_example import config_ini, short_ini

ROOM = 12  # columns, of what set an option
SEEN = ("note: other users of this machine can see a command line, and your shell keeps it. "
        "Next time")
ACTIONS = ("show", "check", "set", "example")


def arguments(parser) -> None:
    parser.add_argument("action", metavar="|".join(ACTIONS), choices=ACTIONS)
    parser.add_argument("section", metavar="SECTION", nargs="?", help="show: only this section, or "
                        "a job's. set: SECTION.OPTION, such as mail.host")
    parser.add_argument("value", metavar="VALUE", nargs="?", help="set: the new value")
    parser.add_argument("--short", action="store_true", help="example: only what nearly every "
                        "service sets")
    parser.add_argument("--json", action="store_true", help="show, check: print one JSON document")


def run(args, make_session, config_path) -> int:
    unexpected = args.value if args.action == "show" else args.section
    if unexpected and args.action != "set":
        raise UsageError(f"config {args.action}: unexpected argument {unexpected!r}")
    jobs, broken = catalogue.usable()
    if args.action == "example":
        print(short_ini() if args.short else config_ini(jobs), end="")
        return OK
    session = make_session(config_path)
    if args.action == "check":
        return check(session, jobs, broken, args.json)
    if args.action == "set":
        return change(session, args.section or "", args.value, jobs)
    return show(session, jobs, args.section, args.json)


def check(session, jobs: list, broken: list[str], as_json: bool) -> int:
    """ConfigError with every mistake; a warning is no failure. As JSON: path, errors, warnings."""
    config = session.config
    wrong = [*broken, *(finding.what for finding in mistakes(config, jobs))]
    warned = rarely_meant(config, jobs)
    with suppress(ConfigError):  # a mistake
        warned += modes(Installation(session, jobs, broken))
    if as_json:
        session.console.document({"path": config.path, "errors": wrong,
                                  "warnings": [finding._asdict() for finding in warned]})
        return CONFIG if wrong else OK
    for finding in warned:
        session.console.answer("\n".join(in_full(finding)))
    if wrong:
        raise ConfigError(*wrong)
    session.console.report(f"No invalid option, {counted(len(warned), 'finding')}." if warned
                           else f"{config.path} is in order.")
    return OK


# Show

def show(session, jobs: list, section: str | None, as_json: bool) -> int:
    """Print what holds, also where something is wrong with it; that ends as ConfigError."""
    names = [*settings.SECTIONS, *(job.name for job in jobs), settings.TABLES]
    if section is not None and not options_of(section):
        raise UsageError(f"config show: there is no section [{section}]"
                         f"{did_you_mean(section, names)}")
    config = session.config
    found = {name: {option: value for option, declared in options_of(name).items()
                    if (value := _value(config, name, option, declared))}
             for name in names if section in (None, name)}
    if as_json:
        session.console.document({"path": config.path, "sections": found})
    else:
        session.console.answer(_shown(config, found))
    config.check([job for job in jobs if section in (None, job.name)],
                 [name for name in settings.SECTIONS if section in (None, name)])
    return OK


def _value(config, section: str, name: str, option) -> dict:
    """One option: its value, masked where it is secret, and where it comes from; {} for arguments
    of one run, and tables that have no other name."""
    text, origin, place = config.written(section, name, option)
    if option.argument or (section == settings.TABLES and not text):
        return {}
    if option.kind.lines:
        text = ", ".join(word for word in (line.strip(" ,") for line in text.split("\n")) if word)
    mask = option.kind.mask or (lambda value: hide_password(value) if "://" in value else value)
    return {"value": mask(config.resolved(text, option)), "origin": origin, "place": place,
            "default": mask(option.default)}


def _shown(config, sections: dict) -> str:
    """A line an option: what set it, its name, its value. Long values are folded."""
    where = config.path if config.found else f"{config.path} (not there: defaults)"
    lines = [f"Configuration: {where}",
             "On the left, what set it: a line of that file, .env, environment, --set, or default."]
    for name, options in sections.items():
        lines += ["", f"[{name}]"] if options else []
        for option, found in options.items():
            line = found["place"].rpartition(" line ")[2]
            by = found["origin"]
            by = {FILE: f"line {line}", DOTENV: f".env {line}"}.get(by, by)
            words = f"{option} = {found['value']}"
            lines += wrapped(words, width(), f"  {by:<{ROOM}}", " " * (ROOM + 6))
    return "\n".join(lines)


# Set

def change(session, where: str, value: str | None, jobs: list) -> int:
    """Set SECTION.OPTION, or say in one sentence why not; then no file has changed."""
    config = session.config
    section, _, name = where.strip().partition(".")
    if not name:
        raise UsageError("config set: expected SECTION.OPTION, such as mail.host")
    option = option_named(section, name)
    mask = option.kind.mask or str
    now = config.written(section, name, option)
    if now.origin in (DOTENV, ENVIRONMENT):
        raise ConfigError(f"{now.place} overrides config.ini: change it there")
    if now.origin == FILE and "\n" in now.text:
        raise ConfigError(f"[{section}] {name} has several lines: change it in {now.place}")
    if value is None:
        value = asked(where)
        if not value.strip():  # Enter alone
            raise UsageError(f"{where}: no value was given; nothing was changed")
    elif mask(value.strip()) != value.strip():
        session.console.fail(f"{SEEN}: `jobs.py config set {where}`, which asks for the value.")
    value = value.strip()
    _refuse(config, section, name, value, jobs)
    path = os.path.realpath(config.path)  # a link stays one
    text, mode = short_ini(), 0o600
    if config.found:
        with open(path, encoding="utf-8-sig", newline="") as file:
            text = file.read()
        if mask(value) == value:
            mode = stat.S_IMODE(os.stat(path).st_mode)
    folders.write(path, with_option(text, section, name, value), mode)
    session.console.report(f"[{section}] {name} = {mask(value)} ({config.path})")
    for finding in sorted(
            {*rarely_meant(config.changed(FILE, {(section, name): value}), jobs)}
            - {*rarely_meant(config, jobs)}):
        session.console.answer("\n".join(in_full(finding)))
    return OK


def asked(what: str) -> str:
    """A value, from a terminal without showing it, or a line of stdin."""
    if not sys.stdin.isatty():
        return sys.stdin.readline()
    from getpass import getpass
    with suppress(EOFError):
        return getpass(f"{what}: ")
    return ""


def _refuse(config, section: str, name: str, value: str, jobs: list) -> None:
    """ConfigError with what would be wrong with this value and is not wrong already."""
    if "\n" in value or "\r" in value:
        raise ConfigError(f"[{section}] {name}: expected one line (nothing was changed)")
    if config.problems:  # not in UTF-8, perhaps
        raise ConfigError(*config.problems)
    before = {finding.what for finding in mistakes(config, jobs)}
    after = mistakes(config.changed(FILE, {(section, name): value}), jobs)
    if new := [finding.what for finding in after if finding.what not in before]:
        raise ConfigError(*(f"{words.replace(f' ({FILE})', '')} (nothing was changed)"
                            for words in new))


def with_option(text: str, section: str, name: str, value: str) -> str:
    """config.ini with this option set: in its own line, below the comment that has its default, or
    at the beginning of its section, which is added if need be."""
    end = "\r\n" if "\r\n" in text else "\n"
    lines = text.replace("\r\n", "\n").rstrip("\n").split("\n") if text else []
    line = f"{name} = {value}".rstrip()
    set_here = parse_ini("\n".join(lines), "", []).get(section, {})
    heads = [at for at, words in enumerate(lines, 1) if words.strip() == f"[{section}]"]
    if name in set_here:
        lines[int(set_here[name].place.rpartition(" ")[2]) - 1] = line
    elif heads:
        at = heads[0]
        for number, words in enumerate(lines[at:], at + 1):
            if words.strip().startswith("["):
                break
            if words.lstrip("#; ").startswith(f"{name} ="):
                at = number
                break
        lines.insert(at, line)
    else:
        lines += [*([""] if lines else []), f"[{section}]", line]
    return end.join([*lines, ""])
