"""config.ini.example and .env.example: every option with what it means and its default. And a short
config.ini to begin with."""
from __future__ import annotations

import re

from jobs_lib.config import settings
from jobs_lib.config.loader import variable_name
from jobs_lib.config.option_types import Option

from .layout import wrapped

WIDTH = 100
HARD = "\u00a0"              # a space at which no line is broken
INI_HEAD = """\
# The configuration of the jobs. Copy this file to config.ini, beside jobs.py, and change what you
# need: remove the # before an option. What is commented out has the default that is shown.
# `jobs.py config check` lists all mistakes. How values are written: docs/configuration.md.
#
# A file .env beside it, and environment variables, win over this file: JOBS_MAIL_HOST for [mail]
# host. This file and .env hold secrets: keep them at mode 0600, and out of the web root.
"""
SHORT_HEAD = """\
# What nearly every service sets. All other options, each explained, are in config.ini.example:
# copy what you need here, below its [section]. Remove the # before what you set, or let it be done
# and checked: `python3 jobs.py config set mail.host mail.example.org`. This file may hold secrets:
# keep it at mode 0600, and out of the web root.
"""
SHORT = {"core": ("database", "app_url"),
         "mail": ("host", "port", "security", "username", "password", "from", "domain",
                  "per_hour"),
         "dns": ("mx_hosts",), "alerts": ("email", "ping_url")}
ENV_HEAD = """\
# Secrets, and each job's schedule, retries and retention, if you prefer not to have them in
# config.ini: copy this file to .env, beside it, with mode 0600, and remove the # before what you
# change. It needs python-dotenv, which ./install.sh installs. Every option of config.ini.example
# can be set here: JOBS_<SECTION>_<OPTION>. It wins over config.ini, and a variable of the
# environment wins over both. Write a value with spaces, quotes or # in 'single quotes'.
"""
JOBS = """\
# === The jobs ===
# Each has a section with these options; its own are explained.
"""


def config_ini(jobs: list) -> str:
    """The text of config.ini.example."""
    parts = [INI_HEAD]
    for name, known in settings.SECTIONS.items():
        parts.append(_section(name, settings.MEANINGS[name], known))
    parts += [_names(settings.TABLES, "users = members")]
    parts.append(JOBS + "\n".join([line for name, option in settings.JOB_OPTIONS.items()
                                   for line in _comment(f"{name}: {option.meaning}")] + [""]))
    parts += [_section(job.name, f"{job.summary}.", _own(job), settings.JOB_OPTIONS)
              for job in jobs]
    return "\n".join(parts)


def short_ini() -> str:
    """The text of a new config.ini: the options of SHORT, each with the first sentence about it."""
    lines = [SHORT_HEAD]
    for section, names in SHORT.items():
        lines += [f"[{section}]"]
        for name in names:
            option = settings.SECTIONS[section][name]
            lines += [*_comment(re.split(r"(?<=[.:]) (?=[A-Z])", option.meaning)[0]),
                      *_default(name, option)]
        lines.append("")
    return "\n".join(lines)


def env(jobs: list) -> str:
    """The text of .env.example: the shared options that hold secrets or say how long, and each
    job's schedule and own options."""
    lines = [ENV_HEAD, *(_variable(section, name, option)
                         for section, name, option in settings.shared_options()
                         if option.kind.mask or name == "keep")]
    for job in jobs:
        lines += ["", *(_variable(job.name, name, option) for name, option in _own(job).items()
                        if name == "schedule" or name in job.options)]
    return "\n".join([*lines, ""])


def _variable(section: str, name: str, option: Option) -> str:
    return f"#{variable_name(section, name)}={_quoted(option.default)}"


def _own(job) -> dict:
    """The options of a job's section but for those that are shown once for all jobs."""
    return {name: option for name, option in settings.job_options(job).items()
            if name not in settings.JOB_ALERTS and not option.argument}


def _section(name: str, meaning: str, known: dict, explained=()) -> str:
    """A section; the options `explained` before it have no comment."""
    lines = [*_comment(meaning), f"[{name}]"]
    for option_name, option in known.items():
        if option_name not in explained:
            lines += _comment(option.meaning)
        lines += _default(option_name, option)
    return "\n".join([*lines, ""])


def _default(name: str, option: Option) -> list[str]:
    line = f"{name} = {option.default}".rstrip()
    if len(line) <= WIDTH or not option.kind.lines:
        return [f"#{line}"]
    items = option.default.replace(" ", HARD).replace(f",{HARD}", ", ")     # kept whole
    return [f"#{name} =", *(words.replace(HARD, " ")
                            for words in wrapped(items, WIDTH, "#    ", "#    "))]


def _names(section: str, example: str) -> str:
    return "\n".join([*_comment(settings.MEANINGS[section]), f"[{section}]", f"#{example}", ""])


def _comment(text: str) -> list[str]:
    return wrapped(text, WIDTH, "# ", "# ")


def _quoted(value: str) -> str:
    return f"'{value}'" if any(sign in value for sign in " #'\"") else value
