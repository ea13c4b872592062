"""config.ini, .env, the environment and --set, in rising order, as typed values.

Only the sections that a run needs are checked, so that a mistake in one job stops no other; `config check`
looks at everything. All problems are told at once. The file is read by our own few lines and not by
configparser: they keep the line numbers for the messages, and a tick that finds nothing to do is a third
cheaper (docs/decisions.md, "Reading config.ini").
"""
from __future__ import annotations

import os
from types import SimpleNamespace

from . import catalogue, settings
from .errors import ConfigError, UsageError
from .job import Job
from .options import Option


class Config:
    """What was read, and typed values of it. Sections are checked when first asked for."""

    def __init__(self, path: str, values: dict, problems: list[str], environ, dotenv: dict,
                 overrides: dict | None = None) -> None:
        self.path, self.folder = path, os.path.dirname(os.path.abspath(path))
        self._values, self._environ, self._dotenv = values, environ, dotenv
        self._overrides = overrides or {}
        self._sections: dict = {}
        if problems:
            raise ConfigError(*problems)

    def section(self, name: str) -> SimpleNamespace:
        """A shared section's values as attributes (`from_` for `from`). ConfigError lists what is wrong in it."""
        return self._typed(name, settings.SECTIONS[name])

    def job(self, job: Job) -> SimpleNamespace:
        """A job's own options, with `schedule`, `enabled` and `budget`."""
        return self._typed(job.name, settings.job_options(job))

    def tables(self) -> dict:
        """`[tables]`: our table's name to theirs."""
        mapped = {ours: theirs for ours, (theirs, _) in self._values.get(settings.TABLES, {}).items()}
        if not mapped:
            return {}
        from .schema.tables import NAMES
        from .spelling import did_you_mean

        wrong = [f"[tables] {name}: we have no such table{did_you_mean(name, NAMES)}"
                 for name in mapped if name not in NAMES]
        if wrong:
            raise ConfigError(*wrong)
        return mapped

    def written(self, section: str, name: str, option: Option) -> tuple[str, str]:
        """(value as text, where it came from): `--set`, an environment variable, `.env`, a line, `default`."""
        variable = variable_name(section, name)
        if (section, name) in self._overrides:
            return self._overrides[section, name], "--set"
        if variable in self._environ:
            return self._environ[variable], f"environment {variable}"
        if variable in self._dotenv:
            return self._dotenv[variable] or "", f".env {variable}"
        value, line = self._values.get(section, {}).get(name, (None, 0))
        return (option.default, "default") if value is None else (value, f"{self.path} line {line}")

    def check(self, jobs: list[Job], sections=tuple(settings.SECTIONS)) -> None:
        """All problems of these jobs' and shared sections in one ConfigError."""
        problems: list[str] = []
        asks = [lambda name=name: self.section(name) for name in sections]
        asks += [lambda job=job: self.job(job) for job in jobs]
        for ask in [*asks, self.tables]:
            try:
                ask()
            except ConfigError as error:
                problems += error.problems
        if problems:
            raise ConfigError(*problems)

    def with_overrides(self, words: list[str], job: Job | None) -> Config:
        """A copy under `--set OPTION=VALUE` (of the job) and `--set SECTION.OPTION=VALUE`."""
        overrides = {}
        for word in words:
            name, equals, value = word.partition("=")
            section, dot, option = name.strip().partition(".")
            if not dot:
                section, option = job.name if job else "", section
            known = settings.job_options(job) if job and section == job.name else settings.SECTIONS.get(section)
            if not equals or known is None or option not in known:
                from .spelling import did_you_mean
                raise UsageError(f"--set {word}: expected OPTION=VALUE, with an option of "
                                 f"{job.name if job else 'a section'} ({', '.join(known or ())}) or "
                                 f"SECTION.OPTION{did_you_mean(option, known or settings.SECTIONS)}")
            overrides[section, option] = value.strip()
        return Config(self.path, self._values, [], self._environ, self._dotenv, overrides)

    def _typed(self, section: str, known: dict) -> SimpleNamespace:
        if section in self._sections:
            return self._sections[section]
        typed, problems = SimpleNamespace(), self._unknown_options(section, known)
        for name, option in known.items():
            value, origin = self.written(section, name, option)
            try:
                parsed = option.kind.parse(value)
            except ValueError as error:
                shown = "..." if option.kind.secret else repr(value)
                problems.append(f"[{section}] {name} = {shown}: {error} ({origin})")
                continue
            if option.kind.name == "path" and parsed:
                parsed = os.path.join(self.folder, parsed)
            setattr(typed, name + "_" if name == "from" else name, parsed)
        if problems:
            raise ConfigError(*problems)
        self._sections[section] = typed
        return typed

    def _unknown_options(self, section: str, known: dict) -> list[str]:
        unknown = [(name, f"{self.path} line {line}")
                   for name, (_, line) in self._values.get(section, {}).items() if name not in known]
        start = variable_name(section, "")
        unknown += [(variable[len(start):].lower(), f"variable {variable}")
                    for variable in [*self._environ, *self._dotenv]
                    if variable.startswith(start) and variable[len(start):].lower() not in known
                    and not _of_longer_section(variable, start)]
        if not unknown:
            return []
        from .spelling import did_you_mean
        return [f"[{section}] {name}: there is no such option{did_you_mean(name, known)} ({origin})"
                for name, origin in unknown]


def load(path: str | None = None, *, beside: str, environ=os.environ) -> Config:
    """Read the file (default: `config.ini` in the folder `beside`) and what goes over it.

    Raises ConfigError when a file that was named is missing, cannot be read, or has lines or sections that
    make no sense. Without a file the defaults hold.
    """
    named = path or environ.get("JOBS_CONFIG")
    path = named or os.path.join(beside, "config.ini")
    try:
        with open(path, encoding="utf-8-sig") as file:
            values, problems = read_ini(file, path)
    except FileNotFoundError:
        if named:
            raise ConfigError(f"there is no file {path}: name your config.ini by --config or JOBS_CONFIG") from None
        values, problems = {}, []
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} cannot be read ({error}): expected a text file in UTF-8") from None
    known = [*settings.SECTIONS, settings.TABLES, *catalogue.names()]
    for section in values:
        if section not in known:
            from .spelling import did_you_mean
            problems.append(f"[{section}]: there is no such section{did_you_mean(section, known)} ({path})")
    return Config(path, values, problems, environ, _read_dotenv(os.path.dirname(os.path.abspath(path))))


def read_ini(lines, path: str) -> tuple[dict, list[str]]:
    """({section: {option: (value, line number)}}, problems) of an iterable of lines."""
    values: dict = {}
    problems: list[str] = []
    section = option = None
    for number, line in enumerate(lines, 1):
        words = line.strip()
        if not words or words[0] in "#;":
            continue
        if line[0] in " \t" and option:                          # a value goes on
            value, first = values[section][option]
            values[section][option] = (f"{value}\n{words}", first)
        elif words[0] == "[" and words[-1] == "]":
            section, option = words[1:-1].strip(), None
            values.setdefault(section, {})
        elif "=" not in words or section is None:
            expected = "option = value" if section else "a [section] first"
            problems.append(f"{path} line {number}: {words[:40]!r}: expected {expected}")
        else:
            name, _, value = words.partition("=")
            option = name.strip().lower()
            if option in values[section]:
                problems.append(f"[{section}] {option} is set twice ({path} lines "
                                f"{values[section][option][1]} and {number}): keep one")
            values[section][option] = (value.strip(), number)
    return values, problems


def variable_name(section: str, option: str) -> str:
    """`JOBS_MAIL_HOST` for `[mail] host`."""
    return f"JOBS_{section}_{option}".upper()


def _of_longer_section(variable: str, start: str) -> bool:
    """JOBS_CORE_... never belongs to a longer section, but a job's name may begin with a section's."""
    longer = (variable_name(name, "") for name in [*settings.SECTIONS, *catalogue.names()])
    return any(len(other) > len(start) and variable.startswith(other) for other in longer)


def _read_dotenv(folder: str) -> dict:
    path = os.path.join(folder, ".env")
    if not os.path.exists(path):
        return {}
    try:
        from dotenv import dotenv_values
    except ImportError:
        raise ConfigError(f"{path} is there, but python-dotenv is not: install it (python3 -m pip install "
                          "python-dotenv), or move its settings into config.ini and delete it") from None
    return dotenv_values(path, interpolate=False, encoding="utf-8-sig")
