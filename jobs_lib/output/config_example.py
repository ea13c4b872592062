"""config.ini.example and .env.example: every option with what it means and its default. And a short
config.ini to begin with."""
from __future__ import annotations

import re

from jobs_lib.config import settings
from jobs_lib.config.loader import variable_name
from jobs_lib.config.option_types import Option

from .layout import wrapped

WIDTH = 80
LONGEST_LINE = 100           # a longer default is written over several lines
INI_HEAD = """\
# The configuration of the jobs. Copy this file to config.ini, beside jobs.py, and
# change what you need: remove the # before an option. An option that is commented
# out has the default that is shown. `jobs.py config check` lists all mistakes.
#
# Comments have lines of their own. A value ends with its line, and may contain any
# character: % ; # = and quotes are part of it. A line that begins with a space
# continues the list before it.
#
# Durations: 90d, 36h, 15m, 30s. Sizes: 500KB, 25MB, 2GB. `off` switches a rule off.
# Paths are relative to the folder of this file.
#
# A file .env beside it, and environment variables, win over this file:
# JOBS_MAIL_HOST for [mail] host. This file and .env hold secrets: keep them at
# mode 0600, and out of the web root.
"""
SHORT_HEAD = """\
# What nearly every service sets. All other options, each explained, are in
# config.ini.example: copy what you need here, below its [section].
#
# Remove the # before what you set, or let it be done and checked:
#   python3 jobs.py config set mail.host mail.example.org
#
# This file may hold secrets: keep it at mode 0600, and out of the web root.
"""
SHORT = {"core": ("database", "app_url"),
         "mail": ("host", "port", "security", "username", "password", "from", "domain",
                  "per_hour"),
         "dns": ("mx_hosts",), "alerts": ("email", "ping_url")}
ENV_HEAD = """\
# Secrets, and each job's schedule, retries and retention, if you prefer not to have them
# in config.ini: copy this file to .env, beside it, with mode 0600, and remove the #
# before what you change. It needs python-dotenv, which ./install.sh installs.
#
# Every other option can be set here as well: JOBS_<SECTION>_<OPTION>, as in
# config.ini.example. It wins over config.ini, and a variable of the environment wins
# over both. Write a value with spaces, quotes or # in 'single quotes'; nothing is
# replaced within it.
"""
ENV_JOBS = """\
# === The jobs ===
#
# SCHEDULE: minute, hour, day, month, weekday. ENABLED: with no, cron never starts it.
# BUDGET: how long one run works before it leaves the rest to the next. The other
# options of each job are explained before it.
"""


ALSO = "The following sections are those of the jobs. Each of them can have these options, too:"


def config_ini(jobs: list) -> str:
    """The text of config.ini.example."""
    parts = [INI_HEAD]
    for name, known in settings.SECTIONS.items():
        parts.append(_section(name, settings.MEANINGS[name], known))
    parts += [_names(settings.TABLES, "users = members"), _names(settings.COLUMNS, "users.email = "
                                                                 "mail")]
    parts.append(_also())
    parts += [_section(job.name, f"{job.summary}.", _own(job)) for job in jobs]
    return "\n".join(parts)


def short_ini() -> str:
    """The text of a new config.ini: the options of SHORT, each with the first sentence about it."""
    lines = [SHORT_HEAD]
    for section, names in SHORT.items():
        lines += [f"[{section}]", ""]
        for name in names:
            option = settings.SECTIONS[section][name]
            lines += [*_comment(re.split(r"(?<=[.:]) (?=[A-Z])", option.meaning)[0]),
                      *_default(name, option), ""]
    return "\n".join(lines)


def env(jobs: list) -> str:
    """The text of .env.example: the shared options that hold secrets or say how long, and all of
    each job's."""
    lines = [ENV_HEAD]
    for section, options in settings.SECTIONS.items():
        for name, option in options.items():
            if option.kind.mask or name == "keep":
                lines += [*_explained(section, name, option), ""]
    lines.append(ENV_JOBS)
    for job in jobs:
        lines += _comment(f"{job.name}: {job.summary}.")
        for name, option in _own(job).items():
            lines += _explained(job.name, name,
                                option) if name in job.options else [_variable(job.name, name,
                                                                               option)]
        lines.append("")
    return "\n".join(lines).rstrip("\n") + "\n"


def _explained(section: str, name: str, option: Option) -> list[str]:
    return [*_comment(f"[{section}] {name}: {option.meaning}"), _variable(section, name, option)]


def _variable(section: str, name: str, option: Option) -> str:
    return f"#{variable_name(section, name)}={_quoted(option.default)}"


def _own(job) -> dict:
    """The options of a job's section but for those that are shown once for all jobs."""
    return {name: option for name, option in settings.job_options(job).items()
            if name not in settings.JOB_ALERTS and not option.argument}


def _also() -> str:
    lines = _comment(ALSO)
    for name, option in settings.JOB_ALERTS.items():
        lines += ["#", *_comment(f"{name}: {option.meaning} ({option.kind.name})")]
    return "\n".join([*lines, ""])


def _section(name: str, meaning: str, known: dict) -> str:
    lines = [*_comment(meaning), f"[{name}]", ""]
    for option_name, option in known.items():
        kind = "" if option.kind.name == "text" else f" ({option.kind.name})"
        lines += [*_comment(option.meaning + kind), *_default(option_name, option), ""]
    return "\n".join(lines)


def _default(name: str, option: Option) -> list[str]:
    line = f"{name} = {option.default}".rstrip()
    if len(line) <= LONGEST_LINE or not option.kind.lines:
        return [f"#{line}"]
    words = [f"#    {word.strip()}," for word in option.default.split(",")]
    return [f"#{name} =", *words[:-1], words[-1].rstrip(",")]


def _names(section: str, example: str) -> str:
    return "\n".join([*_comment(settings.MEANINGS[section]), f"[{section}]", "", f"#{example}", ""])


def _comment(text: str) -> list[str]:
    return wrapped(text, WIDTH, "# ", "# ")


def _quoted(value: str) -> str:
    return f"'{value}'" if any(sign in value for sign in " #'\"") else value
