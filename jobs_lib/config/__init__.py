"""The configuration: config.ini, .env, the environment and --set, in rising order, as typed
values. It may import database and leaves.

Only the sections that a run needs are checked, all mistakes at once, so that one job's stop no
other; `config check` looks at everything.
"""
from __future__ import annotations

import os
from types import SimpleNamespace

from jobs_lib import catalogue
from jobs_lib.catalogue import Job
from jobs_lib.errors import ConfigError, UsageError
from jobs_lib.text import did_you_mean

from . import files, option_types, settings
from .files import DEFAULT, DOTENV, ENVIRONMENT, FILE, SET, Written, shown_name
from .option_types import Option
from .secrets import hide_password, secret_texts

PREFIX = "JOBS_"  # of the variables that are read
CONFIG_VARIABLE = "JOBS_CONFIG"
STRAY = ""  # the section of what names none
LONGEST_SHOWN = 60
NONE, QUOTES = "there is no such option", "the quotes are part of the value: remove them"
TABLE_NAME = Option(option_types.identifier, "", "")  # each option of [tables]


class Config:
    """What was read, and typed values of it, checked when first asked for."""

    def __init__(self, path: str, layers: dict, problems: list[str], found: bool,
                 overrides: str = "") -> None:
        """layers: {origin: {section: {option: Written}}}, the first wins; problems: lines and
        sections that make no sense; found: whether there is a config.ini; overrides: what
        `--set` was given, as text for a command line."""
        self.path, self.folder = path, os.path.dirname(os.path.abspath(path))
        self.layers, self.problems = layers, problems
        self.found, self.overrides = found, overrides
        self._sections: dict = {}
        self._secrets: list[str] | None = None

    def section(self, name: str) -> SimpleNamespace:
        """A section's values (`from_` for `from`). ConfigError lists what is wrong."""
        if name not in self._sections:
            self._sections[name] = self._typed(name, options_of(name))
        return self._sections[name]

    def section_or_defaults(self, name: str) -> SimpleNamespace:
        """As if nothing were set in it, where something is wrong: others report that."""
        if problems_of(self.section, name):
            return Config(self.path, {SET: {}}, [], True).section(name)
        return self.section(name)

    def job(self, job: Job):
        """A job's own options. ConfigError lists what is wrong."""
        if job.name not in self._sections:
            is_set = self.problems or any(job.name in layer for layer in self.layers.values())
            self._sections[job.name] = (self._typed(job.name, settings.job_options(job)) if is_set
                                        else _Defaults(self, job))
        return self._sections[job.name]

    def mode(self, job: Job) -> str:
        """Who runs it: cron, rq or celery."""
        return self.job(job).mode or self.section("core").mode

    def job_named(self, name: str):
        return self.job(catalogue.load(name))

    def zone(self):
        """That of the schedules: `[core] timezone`."""
        return self.section("core").timezone

    def tables(self) -> dict:
        """`[tables]`: our table's name to theirs. ConfigError lists what is wrong."""
        if not any(settings.TABLES in layer for layer in self.layers.values()):
            return {}  # a tick pays only for what is there
        names = vars(self.section(settings.TABLES))
        return {ours: theirs for ours, theirs in names.items() if theirs}

    def written(self, section: str, name: str, option: Option) -> Written:
        """What is set for this option, by the first layer that sets it."""
        for layer in self.layers.values():
            if name in layer.get(section, ()):
                return layer[section][name]
        return Written(self._default(section, option), DEFAULT, DEFAULT)

    def strays(self) -> list[str]:
        """Variables of ours that name no section."""
        found = [PREFIX + name.upper() for origin in (ENVIRONMENT, DOTENV)
                 for name in self.layers[origin].get(STRAY, ())]
        return [name for name in found if name != CONFIG_VARIABLE]

    def secrets(self) -> list[str]:
        """What is neither stored nor shown, the longest first."""
        if self._secrets is None:  # asked for each attempt that is recorded
            self._secrets = secret_texts([
                (option.kind.mask, self.written(section, name, option).text)
                for section, name, option in settings.SHARED if option.kind.mask])
        return self._secrets

    def _default(self, section: str, option: Option) -> str:
        """A persona that is not set writes from the service's own domain, under the name of [mail]
        from if it has one."""
        if section != "personas":
            return option.default
        domain = self.section_or_defaults("mail").domain
        sender = self.written("mail", "from", settings.SECTIONS["mail"]["from"]).text
        name, _, address = option.default.rpartition(" <")
        named = sender.rpartition("<")[0].strip() or name
        return f"{named} <{address.replace(settings.LOCAL, domain)}"

    def resolved(self, value, option: Option):
        """A path counts from the file's folder; other values are as they are."""
        if value and option.kind.is_path and "://" not in value:
            return os.path.normpath(os.path.join(self.folder, os.path.expanduser(value)))
        return value

    def check(self, jobs: list[Job], sections=tuple(settings.SECTIONS)) -> None:
        """All problems of these jobs' and shared sections in one ConfigError."""
        found = [*self.problems, *problems_of(self.tables)]
        for name in sections:
            found += problems_of(self.section, name)
        for job in jobs:
            found += problems_of(self.job, job)
        if found:
            # a line that makes no sense is reported by each of them
            raise ConfigError(*dict.fromkeys(found))

    def changed(self, origin: str, values: dict, overrides: str = "") -> Config:
        """A copy with {(section, option): text} over what is set in one place."""
        layer = {section: dict(options) for section, options in self.layers[origin].items()}
        for (section, name), text in values.items():
            layer.setdefault(section, {})[name] = Written(text, origin, origin)
        return Config(self.path, {**self.layers, origin: layer}, self.problems, self.found,
                      overrides)

    def with_overrides(self, words: list[str], job: Job) -> Config:
        """A copy under `--set OPTION=VALUE` (of the job) and `--set SECTION.OPTION=VALUE`. Raises
        UsageError, or ConfigError for a value that makes no sense."""
        from shlex import quote
        values = {}
        for word in words:
            place, equals, value = (part.strip() for part in word.partition("="))
            section, _, name = (place if "." in place else f"{job.name}.{place}").partition(".")
            if not (equals and name):
                raise UsageError("--set: expected OPTION=VALUE of this job, or "
                                 "SECTION.OPTION=VALUE")
            option = option_named(section, name)
            mask = option.kind.mask
            if mask and mask(value) != value:
                raise UsageError(f"--set {section}.{name}: a secret in a command line is seen by "
                                 "every user of this machine: write "
                                 f"{variable_name(section, name)} in .env, or {name} in config.ini")
            values[section, name] = value
            self.changed(SET, values).value(section, name, option)
        return self.changed(SET, values, "".join(f" --set {quote(word)}" for word in words))

    def _typed(self, section: str, known: dict) -> SimpleNamespace:
        """A section's values by what is `known` of its options."""
        typed = SimpleNamespace()
        problems = [*self.problems, *self._unknown(section, known)]
        for name, option in known.items():
            try:
                # `from` is a word of the language
                attribute = "from_" if name == "from" else name
                setattr(typed, attribute, self.value(section, name, option))
            except ConfigError as error:
                problems += error.problems
        if problems:
            raise ConfigError(*problems)
        return typed

    def _unknown(self, section: str, known: dict) -> list[str]:
        """What is said of options that it does not have; once, if another section has all."""
        found = {name: written.place for layer in self.layers.values()
                 for name, written in layer.get(section, {}).items() if name not in known}
        for other, options in settings.SECTIONS.items():
            if found and found.keys() <= options.keys():
                first, names = next(iter(found.values())), ", ".join(found)
                return [f"[{section}] {names}: {NONE}; is the line [{other}] missing? ({first})"]
        return [f"[{section}] {shown_name(name)}: {NONE}{did_you_mean(name, known)} ({place})"
                for name, place in found.items()]

    def value(self, section: str, name: str, option: Option):
        """What is set for the option; ConfigError when that makes no sense."""
        text, origin, place = self.written(section, name, option)
        if option.argument and origin not in (SET, DEFAULT):
            raise ConfigError(f"[{section}] {name} is for a single run: remove it ({place}), "
                              f"and give it by hand: jobs.py {section} --set {name}=VALUE")
        try:
            if "\n" in text and not option.kind.lines:
                raise ValueError("continues on the next line, since that begins with a space; "
                                 "expected one line")
            return self.resolved(option.kind.parse(text), option)
        except ValueError as error:
            why = error if text.strip("\"'") == text else QUOTES
            raise ConfigError(f"[{section}] {name} = {_shown(text, option)}: "
                              f"{why} ({place})") from None


class _Defaults:
    """The options of a job of which none is set, each read when it is asked for."""

    def __init__(self, config: Config, job: Job) -> None:
        self._config, self._job = config, job

    def __getattr__(self, name: str):
        try:
            option = settings.job_option(self._job, name.rstrip("_"))
        except KeyError:
            raise AttributeError(name) from None
        value = self._config.resolved(option.kind.parse(option.default), option)
        setattr(self, name, value)
        return value


def load(path: str | None = None, *, beside: str, environ=os.environ) -> Config:
    """Read the file (default: `config.ini` in the folder `beside`) and what goes over it.

    Lines and sections that make no sense are reported with the first section that is asked for.
    Without a file the defaults hold; ConfigError when a file that was named is missing.
    """
    named = path or environ.get(CONFIG_VARIABLE)
    path = named or os.path.join(beside, "config.ini")
    problems: list[str] = []
    text = files.read_text(path, problems)
    if text is None and named:
        raise ConfigError(f"there is no file {path}: name your config.ini with --config or "
                          f"{CONFIG_VARIABLE}")
    ini = files.parse_ini(text or "", path, problems, options_of)
    dotenv = os.path.join(os.path.dirname(os.path.abspath(path)), ".env")
    known = known_sections()
    problems += [f"[{section}]: there is no such section{did_you_mean(section, known)} ({path})"
                 for section in ini if section not in known]
    layers = {
        SET: {},
        ENVIRONMENT: _by_section(known, {
            name: Written(text.strip(), ENVIRONMENT, f"environment variable {name}")
            for name, text in environ.items() if name.startswith(PREFIX)}),
        DOTENV: _by_section(known, files.read_dotenv(dotenv, problems)),
        FILE: {section: values for section, values in ini.items() if values}}
    return Config(path, layers, problems, text is not None)


def _by_section(known: list[str], variables: dict) -> dict:
    """{section: {option: Written}} of {JOBS_SECTION_OPTION: Written}. Of two sections the longer:
    JOBS_EXPORT_ACCOUNTS_BUDGET is none of [export]."""
    found: dict = {}
    for variable, written in variables.items():
        words = variable[len(PREFIX):].lower()
        section = max((name for name in known if words.startswith(f"{name}_")), key=len,
                      default=STRAY)
        found.setdefault(section, {})[words[len(section):].lstrip("_")] = written
    return found


def known_sections() -> list[str]:
    return [*settings.SECTIONS, settings.TABLES, *catalogue.names()]


def options_of(section: str) -> dict:
    """{option: what is known of it} of any section; {} where there is none of this name."""
    if section in settings.SECTIONS:
        return settings.SECTIONS[section]
    if section == settings.TABLES:
        from jobs_lib.database.schema import NAMES
        return dict.fromkeys(NAMES, TABLE_NAME)
    return (settings.job_options(catalogue.load(section))
            if section in catalogue.names() else {})


def option_named(section: str, name: str) -> Option:
    """What is known of it; UsageError, with the nearest name, for what there is not."""
    known = options_of(section)
    if not known:
        raise UsageError(f"there is no section [{shown_name(section)}]"
                         f"{did_you_mean(section, known_sections())}")
    if name not in known:
        raise UsageError(f"[{section}] has no option {shown_name(name)}"
                         f"{did_you_mean(name, known)} (it has {', '.join(known)})")
    return known[name]


def variable_name(section: str, option: str) -> str:
    """`JOBS_MAIL_HOST` for `[mail] host`."""
    return f"{PREFIX}{section}_{option}".upper()


def problems_of(ask, *args) -> list[str]:
    try:
        ask(*args)
    except ConfigError as error:
        return error.problems
    return []


def _shown(text: str, option: Option) -> str:
    """A wrong value as it may be shown, without secrets."""
    if option.kind.mask:
        return "..."
    text = text.partition("\n")[0]
    text = hide_password(text) if "@" in text and ":" in text else text
    return repr(text if len(text) <= LONGEST_SHOWN else text[:LONGEST_SHOWN] + "...")
