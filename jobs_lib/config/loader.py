"""config.ini, .env, the environment and --set, in rising order, as typed values.

Only the sections that a run needs are checked, so that a mistake in one job stops no other; `config
check` looks at everything. All problems are reported at once. The file is read by our own few lines
and not by configparser: they keep the line numbers for the messages, and a tick that finds nothing
to do is a third cheaper (docs/decisions.md, "Reading config.ini").
"""
from __future__ import annotations

import os
from types import SimpleNamespace

from jobs_lib import catalogue
from jobs_lib.errors import ConfigError, UsageError
from jobs_lib.job import Job
from jobs_lib.records import namedtuple

from . import option_types, settings
from .files import read_dotenv, read_ini, shown_name
from .option_types import Option

PREFIX = "JOBS_"              # of the variables that are read
CONFIG_VARIABLE = "JOBS_CONFIG"
LONGEST_SHOWN = 60
MOST_COMPARED = 20            # unknown names
TABLE_NAME = Option(option_types.identifier, "", "")       # each option of [tables]

Written = namedtuple("Written", "text origin place")
Written.__doc__ = """What is set for an option: as text, by what, and where that is.

origin  `--set`, `environment`, `.env`, `file` or `default`        place  in words, for a message
"""


class Sources:
    """What was read.

    values    {section: {option: (text, line)}} of config.ini
    environ   {variable: text} of the process's environment, as far as its names are ours
    dotenv    {variable: (text, line)} of .env
    problems  lines and sections that make no sense
    found     whether there is a config.ini
    """

    def __init__(self, values: dict, environ: dict, dotenv: dict, problems: list[str],
                 found: bool) -> None:
        self.values, self.environ, self.dotenv = values, environ, dotenv
        self.problems, self.found = problems, found


class Defaults(SimpleNamespace):
    """A job's own options where none is set: each is typed when it is asked for, since a tick asks
    for few of each job."""

    def __init__(self, config: Config, section: str, job: Job) -> None:
        super().__init__(_config=config, _section=section, _job=job, _known={})

    def __getattr__(self, name: str):               # for what has no value yet
        option = name.rstrip("_")                   # `from_`, see attribute()
        if not self._known:
            self._known.update(settings.job_options(self._job))
        if option not in self._known:
            raise AttributeError(f"[{self._section}] has no option {option}")
        setattr(self, name, self._config.default(self._section, option, self._known))
        return getattr(self, name)


class Config:
    """What was read, and typed values of it. Sections are checked when first asked for."""

    def __init__(self, path: str, sources: Sources, overrides: dict | None = None) -> None:
        self.path, self.folder = path, os.path.dirname(os.path.abspath(path))
        self.sources, self._overrides = sources, overrides or {}
        self._sections: dict = {}

    @property
    def is_overridden(self) -> bool:
        """Whether options were given by `--set`."""
        return bool(self._overrides)

    def section(self, name: str) -> SimpleNamespace:
        """A shared section's values as attributes (`from_` for `from`). ConfigError lists what is
        wrong in it."""
        return self.typed(name, settings.SECTIONS[name])

    def job(self, job: Job) -> SimpleNamespace:
        """A job's own options, with `schedule`, `enabled` and `budget`."""
        name = job.name
        if name not in self._sections and not (self.sources.problems or self._has(name)):
            self._sections[name] = Defaults(self, name, job)
        return self._sections.get(name) or self.typed(name, settings.job_options(job))

    def mode(self, job: Job) -> str:
        """Who runs it: cron, rq or celery."""
        return self.job(job).mode or self.section("core").mode

    def job_named(self, name: str) -> SimpleNamespace:
        """The options of the job with this name."""
        return self.job(catalogue.load(name))

    def tables(self) -> dict:
        """`[tables]`: our table's name to theirs. ConfigError lists what is wrong."""
        if not self._has(settings.TABLES):
            return {}
        from jobs_lib.database.schema import NAMES

        typed = self.typed(settings.TABLES, dict.fromkeys(NAMES, TABLE_NAME))
        found = {name: getattr(typed, name) for name in NAMES if getattr(typed, name)}
        try:
            prefix = self.section("core").prefix
        except ConfigError:                     # reported with the other mistakes of that section
            prefix = ""
        names = {name: found.get(name, prefix + name) for name in NAMES}
        if problems := self._doubled(found, names):
            raise ConfigError(*problems)
        return found

    def _doubled(self, found: dict, names: dict) -> list[str]:
        """Sentences: where two of our tables would be one of theirs; case is ignored."""
        seen: dict = {}
        problems = []
        for ours, theirs in names.items():
            other = seen.setdefault(theirs.lower(), ours)
            if other != ours:
                shown = ours if ours in found else other
                place = self.written(settings.TABLES, shown, TABLE_NAME).place
                problems.append(f"[{settings.TABLES}] {shown} = {names[shown]}: {other} and {ours} "
                                f"cannot both have this name ({place})")
        return problems

    def _has(self, section: str) -> bool:
        """Whether anything is set there: a run pays only for what is."""
        start, sources = variable_name(section, ""), self.sources
        return (bool(sources.values.get(section))
                or any(name.startswith(start) for name in (*sources.environ, *sources.dotenv))
                or any(overridden == section for overridden, _ in self._overrides))

    def written(self, section: str, name: str, option: Option) -> Written:
        """What is set for this option: `--set` over environment over `.env` over the file over the
        default."""
        variable, sources = variable_name(section, name), self.sources
        if (section, name) in self._overrides:
            return Written(self._overrides[section, name], "--set", "--set")
        if variable in sources.environ:
            return Written(sources.environ[variable].strip(), "environment",
                           f"environment variable {variable}")
        if variable in sources.dotenv:
            text, line = sources.dotenv[variable]
            return Written(text, ".env", f"{self.folder}/.env line {line}")
        if name in sources.values.get(section, {}):
            text, line = sources.values[section][name]
            return Written(text, "file", f"{self.path} line {line}")
        return Written(self._default(section, option), "default", "default")

    def secrets(self) -> list[tuple[Option, str]]:
        """What is set for each option that holds a secret, those of jobs too."""
        sections = {**settings.SECTIONS, **dict.fromkeys(catalogue.names(), settings.JOB_ALERTS)}
        return [(option, self.written(section, name, option).text) for section,
                options in sections.items()
                for name, option in options.items() if option.kind.mask]

    def _default(self, section: str, option: Option) -> str:
        """A persona that is not set writes from the service's own domain, under the name of [mail]
        from if it has one."""
        name, _, local = option.default.rpartition("<")
        if section != "personas" or not local.endswith(f"@{settings.LOCAL}>"):
            return option.default
        address = local.replace(settings.LOCAL, self._mail("domain") or settings.LOCAL)
        named = option_types.sender_name(self._mail("from"))
        return f"{named or name.strip()} <{address}"

    def _mail(self, name: str) -> str:
        """An option of [mail] as text; "" of a wrong one, which [mail] itself reports."""
        option = settings.SECTIONS["mail"][name]
        text = self.written("mail", name, option).text
        try:
            option.kind.parse(text)
        except ValueError:
            return ""
        return text

    def resolved(self, value, option: Option):
        """A path counts from the file's folder; other values, URLs in place of a path too, are left
        as they are."""
        if value and option.kind.name.startswith("path") and "://" not in value:
            return os.path.normpath(os.path.join(self.folder, os.path.expanduser(value)))
        return value

    def check(self, jobs: list[Job], sections=tuple(settings.SECTIONS)) -> None:
        """All problems of these jobs' and shared sections in one ConfigError."""
        found = [*self.sources.problems, *_problems(self.tables)]
        for name in sections:
            found += _problems(self.section, name)
        for job in jobs:
            found += _problems(self.job, job)
        if found:
            # a line that makes no sense is reported by each of them
            raise ConfigError(*dict.fromkeys(found))

    def with_overrides(self, words: list[str], job: Job | None) -> Config:
        """A copy under `--set OPTION=VALUE` (of the job) and `--set SECTION.OPTION=VALUE`. Raises
        UsageError, and ConfigError for a value that cannot be."""
        overrides = dict(self._overrides)
        for word in words:
            name, equals, value = word.partition("=")
            section, dot, option = name.strip().partition(".")
            if not dot:
                section, option = job.name if job else "", section
            known = _options_of(section, job)
            if not equals or option not in known:
                raise UsageError(_wrong_override(section, option, known, job, bool(equals)))
            mask = known[option].kind.mask
            if mask and mask(value.strip()) != value.strip():
                raise UsageError(f"--set {section}.{option}: a secret in a command line is seen by "
                                 "every user of this machine: write "
                                 f"{variable_name(section, option)} in .env, or {option} in "
                                 "config.ini")
            overrides[section, option] = value.strip()
        changed, wrong = Config(self.path, self.sources, overrides), []
        for section, option in overrides:           # whether or not the job reads them
            wrong += _problems(changed.value, section, option, _options_of(section, job))
        if wrong:
            raise ConfigError(*wrong)
        return changed

    def typed(self, section: str, known: dict) -> SimpleNamespace:
        """A section's values by what is `known` of its options. ConfigError lists what is wrong in
        it."""
        if section in self._sections:
            return self._sections[section]
        typed = SimpleNamespace()
        problems = [*self.sources.problems, *self._unknown_options(section, known)]
        for name in known:
            try:
                setattr(typed, attribute(name), self.value(section, name, known))
            except ConfigError as error:
                problems += error.problems
        if problems:
            raise ConfigError(*problems)
        self._sections[section] = typed
        return typed

    def value(self, section: str, name: str, known: dict):
        """One of the section's `known` options; ConfigError when what is set makes no sense."""
        option = known[name]
        value = self.written(section, name, option)
        if option.argument and value.origin not in ("--set", "default"):
            raise ConfigError(f"[{section}] {name} is about one run, and no option: take it out "
                              f"({value.place}), and give it by hand: jobs.py {section} --set "
                              f"{name}=VALUE")
        try:
            _refuse_lines(value, option, known)
            return self.resolved(option.kind.parse(value.text), option)
        except ValueError as error:
            raise ConfigError(f"[{section}] {name} = {_shown(value.text, option)}: "
                              f"{error}{_hint(value.text)} ({value.place})") from None

    def default(self, section: str, name: str, known: dict):
        """The same of an option that is known not to be set."""
        option = known[name]
        try:
            return self.resolved(option.kind.parse(option.default), option)
        except ValueError:
            return self.value(section, name, known)         # which raises what is wrong

    def _unknown_options(self, section: str, known: dict) -> list[str]:
        sources, start = self.sources, variable_name(section, "")
        unknown = [(name, f"{self.path} line {line}")
                   for name, (_, line) in sources.values.get(section, {}).items()
                   if name not in known]
        unknown += [(variable[len(start):].lower(), f"variable {variable}")
                    for variable in (*sources.environ, *sources.dotenv)
                    if variable.startswith(start) and not _of_longer_section(variable, start)
                    and variable not in {variable_name(section, name) for name in known}]
        near = _nearest([name for name, _ in unknown], known)
        return [f"[{section}] {shown_name(name)}: there is no such option{near.get(name, '')} "
                f"({place})" for name, place in unknown]


def for_app(path: str | None) -> Config:
    """As jobs.py finds it, for an app that asks: the file at `path`, or config.ini beside the
    program."""
    from jobs_lib.paths import HOME, add_packages
    add_packages()
    return load(path, beside=HOME)


def load(path: str | None = None, *, beside: str, environ=os.environ) -> Config:
    """Read the file (default: `config.ini` in the folder `beside`) and what goes over it.

    Lines and sections that make no sense are reported with the first section that is asked for.
    Without a file the defaults hold; ConfigError when a file that was named is missing.
    """
    named = path or environ.get(CONFIG_VARIABLE)
    path = named or os.path.join(beside, "config.ini")
    problems: list[str] = []
    begins: dict = {}
    values = read_ini(path, problems, begins)
    if values is None and named:
        raise ConfigError(f"there is no file {path}: name your config.ini by --config or "
                          f"{CONFIG_VARIABLE}")
    folder = os.path.dirname(os.path.abspath(path))
    dotenv = read_dotenv(os.path.join(folder, ".env"), problems)
    known = known_sections()
    unknown = [section for section in values or () if section not in known]
    near = _nearest(unknown, known)
    problems += [f"[{section}]: there is no such section{near.get(section, '')} "
                 f"({path} line {begins[section]})" for section in unknown]
    ours = {name: text for name, text in environ.items() if name.startswith(PREFIX)}
    return Config(path, Sources(values or {}, ours, dotenv, problems, values is not None))


def _nearest(unknown: list[str], known) -> dict:
    """{unknown name: `; did you mean ...?`} of the first few: to compare a whole page that was
    pasted would take minutes."""
    if not unknown:
        return {}
    from jobs_lib.text import did_you_mean
    return {name: did_you_mean(name, known) for name in unknown[:MOST_COMPARED]}


def known_sections() -> list[str]:
    """Every section that config.ini may have."""
    return [*settings.SECTIONS, settings.TABLES, *catalogue.names()]


def variable_name(section: str, option: str) -> str:
    """`JOBS_MAIL_HOST` for `[mail] host`."""
    return f"{PREFIX}{section}_{option}".upper()


def _of_longer_section(variable: str, start: str) -> bool:
    """Whether it belongs to a job whose name begins with the section's:
    JOBS_EXPORT_ACCOUNTS_BUDGET, not [export]."""
    longer = (variable_name(name, "") for name in known_sections())
    return any(len(other) > len(start) and variable.startswith(other) for other in longer)


def attribute(option: str) -> str:
    """What its value is called in Python, where `from` is a word of the language."""
    return "from_" if option == "from" else option


def _problems(ask, *args) -> list[str]:
    try:
        ask(*args)
    except ConfigError as error:
        return error.problems
    return []


def _options_of(section: str, job: Job | None) -> dict:
    if job and section == job.name:
        return settings.job_options(job)
    if section in catalogue.names():
        return settings.job_options(catalogue.load(section))
    return settings.SECTIONS.get(section, {})


def _wrong_override(section: str, option: str, known: dict, job: Job | None, given: bool) -> str:
    from jobs_lib.text import did_you_mean

    if not section:
        return f"--set {shown_name(option)}: expected SECTION.OPTION=VALUE, such as core.budget=2m"
    name = ("" if job and section == job.name else f"{shown_name(section)}.") + shown_name(option)
    if not known:
        near = did_you_mean(section, [*settings.SECTIONS, *catalogue.names()])
        return f"--set {name}: there is no section [{shown_name(section)}]{near}"
    if not option or not (given or option in known):
        return (f"--set {name}: expected OPTION=VALUE of this job, or SECTION.OPTION=VALUE, such "
                "as core.budget=2m")
    if option not in known:
        names = sorted(known, key=settings.JOB_OPTIONS.__contains__)    # its own first
        near = did_you_mean(option, names)
        return f"--set {name}: [{section}] has no such option{near} (it has {', '.join(names)})"
    return f"--set {name}: expected {name}=VALUE"


def _refuse_lines(value: Written, option: Option, known: dict) -> None:
    """A line that begins with a space continues the value before it, which is rarely meant."""
    more = value.text.split("\n")[1:]
    if more and (not option.kind.lines or any(line.partition("=")[0].strip().lower() in known
                                              for line in more)):
        if value.origin != "file":
            raise ValueError("expected one line")
        raise ValueError("goes on in the next line, since that begins with a space; expected one "
                         "line")


def _shown(text: str, option: Option) -> str:
    """A wrong value as it may be shown: nothing of a secret, and no password in what looks like a
    URL."""
    if option.kind.mask:
        return "..."
    text = text.partition("\n")[0]
    text = option_types.hide_password(text) if "@" in text and ":" in text else text
    return repr(text if len(text) <= LONGEST_SHOWN else text[:LONGEST_SHOWN] + "...")


def _hint(text: str) -> str:
    if " #" in text or " ;" in text:
        return "; a comment needs a line of its own"
    return "; without the quotes" if text[:1] in ("'", '"') and text[-1:] == text[:1] else ""
