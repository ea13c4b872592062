"""`config set`: one line of config.ini, checked as the loader checks it before it is written."""
from __future__ import annotations

import copy
import os
import stat

from jobs_lib import catalogue, folders
from jobs_lib.config import files, option_types, settings
from jobs_lib.config.loader import Config, known_sections
from jobs_lib.config.option_types import Option
from jobs_lib.doctor.config import mistakes
from jobs_lib.errors import OK, ConfigError, UsageError
from jobs_lib.output.config_example import short_ini
from jobs_lib.runner.access import refuse_root
from jobs_lib.text import did_you_mean

from ._arguments import SEEN, asked

NEW_LINE = 0             # what stands for the line that is not written yet


def change(session, where: str, value: str | None, jobs: list) -> int:
    """Set SECTION.OPTION, or say in one sentence why not; then no file has changed."""
    section, _, name = where.strip().partition(".")
    option, config = _option(section, name), session.config
    mask = option.kind.mask or str
    refuse_root(config, f"config set {where} ...")
    if (place := config.written(section, name, option)).origin in (".env", "environment"):
        raise ConfigError(f"{place.place} wins over config.ini: change it there")
    if value is None:
        if not option.kind.mask:
            raise UsageError(f"config set {where}: expected a value after it")
        value = asked(where)
        if not value.strip():                           # Enter alone
            session.console.report(f"{where}: no value was given; nothing was changed.")
            return OK
    elif mask(value.strip()) != value.strip():
        session.console.fail(f"{SEEN}: `jobs.py config set {where}`, which asks for the value.")
    value = value.strip()
    if config.sources.problems and not config.sources.values:       # not in UTF-8, perhaps
        raise ConfigError(*config.sources.problems)
    _refuse(config, section, name, value, jobs)
    path = os.path.realpath(config.path)                # a link stays one
    text = short_ini()
    if config.sources.found:
        with open(path, encoding="utf-8-sig", newline="") as file:
            text = file.read()
    private = mask(value) != value or not config.sources.found
    folders.write(path, with_option(text, section, name, value),
                  0o600 if private else stat.S_IMODE(os.stat(path).st_mode))
    session.console.report(f"[{section}] {name} = {mask(value)} ({config.path})")
    return OK


def _option(section: str, name: str) -> Option:
    """What is known of it; UsageError for a section or an option that there is not."""
    known = known_sections()
    if section not in known:
        raise UsageError("config set: expected SECTION.OPTION, such as mail.host; there is no "
                         f"section [{section}]{did_you_mean(section, known)}")
    if not name:
        raise UsageError(f"config set: expected SECTION.OPTION, such as mail.host, not {section!r}")
    if section == settings.TABLES:
        return Option(option_types.identifier, "", "")
    options = (settings.job_options(catalogue.load(section)) if section in catalogue.names()
               else settings.SECTIONS[section])
    if name not in options:
        raise UsageError(f"config set: [{section}] has no option {name!r}"
                         f"{did_you_mean(name, options)} (it has {', '.join(options)})")
    return options[name]


def _refuse(config: Config, section: str, name: str, value: str, jobs: list) -> None:
    """ConfigError with what would be wrong with this value and is not wrong already."""
    if "\n" in value or "\r" in value:
        raise ConfigError(f"[{section}] {name}: expected one line (nothing was changed)")
    sources = copy.copy(config.sources)
    sources.values = {**sources.values, section: {**sources.values.get(section, {}),
                                                  name: (value, NEW_LINE)}}
    before = {finding.what for finding in mistakes(config, jobs)}
    place = f" ({config.path} line {NEW_LINE})"
    if new := [finding.what for finding in mistakes(Config(config.path, sources), jobs)
               if finding.what not in before]:
        raise ConfigError(*(f"{words.replace(place, '')} (nothing was changed)" for words in new))


def with_option(text: str, section: str, name: str, value: str) -> str:
    """config.ini with this option set: in its own line, below the comment that has its default, or
    at the beginning of its section, which is added if it is missing. All else stays as it is."""
    end = "\r\n" if "\r\n" in text else "\n"
    lines = text.replace("\r\n", "\n").rstrip("\n").split("\n") if text else []
    begins: dict = {}
    values = files.parse_ini("\n".join(lines), "", [], begins)
    line = f"{name} = {value}".rstrip()
    if name in values.get(section, {}):
        at = values[section][name][1]
        lines[at - 1] = line
        while at < len(lines) and (not (words := lines[at].strip()) or words[0] in "#;"
                                   or lines[at][0] in " \t"):
            if words and words[0] not in "#;":
                del lines[at]                           # a value over several lines
            else:
                at += 1
    elif section in begins:
        at = begins[section]
        following = min((head - 1 for head in begins.values() if head > at), default=len(lines))
        at = next((number + 1 for number in range(at, following) if lines[number].lstrip(
            "#; ").partition("=")[0].strip().lower() == name), at)
        lines.insert(at, line)
    else:
        lines += [*([""] if lines else []), f"[{section}]", line]
    return end.join([*lines, ""])
