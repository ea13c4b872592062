"""config.ini.example: every option with its meaning and default. And a config.ini to begin with."""
from __future__ import annotations

from jobs_lib.config import settings
from jobs_lib.config.option_types import Option
from jobs_lib.output.layout import wrapped

WIDTH = 100
INI_HEAD = """\
# The configuration of the jobs. Copy this file to config.ini, beside jobs.py, and change what you
# need: remove the # before an option. A commented-out option has the default shown.
# `jobs.py config check` lists all mistakes. How values are written: docs/configuration.md.
#
# A file .env beside it and environment variables override this file: JOBS_MAIL_HOST for [mail]
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
         "archive": ("store",), "dns": ("mx_hosts",), "alerts": ("email", "ping_url")}
JOBS = """\
# === The jobs ===
# Each has a section with these options. Options of its own are explained.
"""


def config_ini(jobs: list) -> str:
    lines = INI_HEAD.split("\n")
    for name, meaning in settings.MEANINGS.items():
        lines += [*_comment(meaning), f"[{name}]"]
        for option_name, option in settings.SECTIONS.get(name, {}).items():
            lines += _explained(option_name, option)
        lines += ["#users = members", ""] if name == settings.TABLES else [""]
    lines += JOBS.rstrip().split("\n")
    for name, option in settings.JOB_OPTIONS.items():
        lines += _comment(f"{name}: {option.meaning}")
    for job in jobs:
        lines += ["", *_comment(f"{job.summary}."), f"[{job.name}]"]
        for name, option in own_options(job).items():
            lines += _explained(name, option) if name in job.options else _default(name, option)
    return "\n".join([*lines, ""])


def short_ini() -> str:
    """The text of a new config.ini: the options of SHORT, each explained."""
    lines = [SHORT_HEAD]
    for section, names in SHORT.items():
        lines += [f"[{section}]"]
        for name in names:
            lines += _explained(name, settings.SECTIONS[section][name])
        lines.append("")
    return "\n".join(lines)


def own_options(job) -> dict:
    """The options of a job's section but for those that are shown once for all jobs."""
    return {name: option for name, option in settings.job_options(job).items()
            if name not in settings.JOB_ALERTS and not option.argument}


def _explained(name: str, option: Option) -> list[str]:
    return [*_comment(option.meaning), *_default(name, option)]


def _default(name: str, option: Option) -> list[str]:
    line = f"{name} = {option.default}".rstrip()
    if len(line) <= WIDTH or not option.kind.lines:
        return [f"#{line}"]
    return [f"#{name} =", *(f"#    {item}" for item in option.default.split(", "))]


def _comment(text: str) -> list[str]:
    return wrapped(text, WIDTH, "# ", "# ")
