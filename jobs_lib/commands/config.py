"""Show, check, set or print the configuration.

  show      each option's value and where it comes from; secrets are masked
  check     every mistake in all sections and jobs, and what is rarely meant
  set       SECTION.OPTION VALUE: checks the value, and changes that line of
            config.ini alone. Of a secret leave VALUE out: it is asked for, so
            that no other user sees it
  example   config.ini with every option, what it means and its default; with
            --short the dozen that matter first
"""
from __future__ import annotations

import sys

from jobs_lib import catalogue
from jobs_lib.config import settings
from jobs_lib.config.option_types import hide_password
from jobs_lib.doctor.config import mistakes, rarely_meant
from jobs_lib.errors import CONFIG, OK, ConfigError, UsageError
from jobs_lib.output.console import WIDEST, Paint, columns
from jobs_lib.output.findings import in_full
from jobs_lib.output.layout import wrapped
from jobs_lib.text import counted, did_you_mean, one_of

ROOM = 12           # columns, of what set an option
ACTIONS = ("show", "check", "set", "example")


def arguments(parser) -> None:
    """Declares ACTION, SECTION, VALUE, --short and --json."""
    parser.add_argument("action", metavar="|".join(ACTIONS), type=one_of(*ACTIONS))
    parser.add_argument("section", metavar="SECTION", nargs="?", help="show: only this section, or "
                        "a job's. set: SECTION.OPTION, such as mail.host")
    parser.add_argument("value", metavar="VALUE", nargs="?", help="set: what it is to be")
    parser.add_argument("--short", action="store_true", help="example: only what nearly every "
                        "service sets")
    parser.add_argument("--json", action="store_true", help="show, check: print one JSON document")


def run(args, make_session, config_path) -> int:
    """Run the action."""
    unexpected = args.value if args.action == "show" else args.section
    if unexpected and args.action != "set":
        raise UsageError(f"config {args.action}: unexpected argument {unexpected!r}")
    if args.action == "set" and not args.section:
        raise UsageError("config set: expected SECTION.OPTION and a value, such as `config set "
                         "mail.host mail.example.org`")
    if args.json and args.action not in ("show", "check"):
        raise UsageError(f"config {args.action}: --json goes with show and check only")
    if args.short and args.action != "example":
        raise UsageError(f"config {args.action}: --short goes with example only")
    broken: list[str] = []
    jobs = catalogue.load_all(broken)
    if args.action == "example":
        from jobs_lib.output.config_example import config_ini, short_ini
        print(short_ini() if args.short else config_ini(jobs), end="")
        return OK
    session = make_session(config_path)
    if args.action == "check":
        return check(session, jobs, broken, args.json)
    if args.action == "set":
        from ._config_set import change
        return change(session, args.section, args.value, jobs)
    return show(session, jobs, args.section, args.json)


def check(session, jobs: list, broken: list[str], as_json: bool = False) -> int:
    """ConfigError with every mistake; warnings alone are no failure. As JSON: path, errors,
    warnings."""
    config = session.config
    wrong = [*broken, *(finding.what for finding in mistakes(config, jobs))]
    warned = rarely_meant(config, jobs)
    if as_json:
        session.console.document({"path": config.path, "errors": wrong,
                                  "warnings": [finding._asdict() for finding in warned]})
        return CONFIG if wrong else OK
    paint = Paint(sys.stdout)
    for finding in warned:
        session.console.answer("\n".join(in_full(finding, paint)))
    if wrong:
        raise ConfigError(*wrong)
    file = config.path if config.sources.found else "The configuration"
    session.console.report(f"No errors, {counted(len(warned), 'warning')}." if warned
                           else f"{file} is in order.")
    return OK


def show(session, jobs: list, section: str | None, as_json: bool) -> int:
    """Print what holds, also where something is wrong with it; that ends as ConfigError."""
    sections = {**settings.SECTIONS, **{job.name: settings.job_options(job) for job in jobs}}
    if section is not None and section not in sections:
        raise UsageError("config show: there is no section "
                         f"[{section}]{did_you_mean(section, sections)}")
    config, found = session.config, {}
    for name, known in sections.items():
        if section in (None, name):
            found[name] = {option: _value(config, name, option, declared) for option,
                           declared in known.items() if not declared.argument}
    if section is None and (mapped := config.sources.values.get(settings.TABLES)):
        found[settings.TABLES] = {ours: {"value": theirs, "origin": "file", "default": "",
                                         "place": f"{config.path} line {line}"}
                                  for ours, (theirs, line) in mapped.items()}
    if as_json:
        session.console.document({"path": config.path, "sections": found})
    else:
        session.console.answer(_shown(config, found))
    config.check([job for job in jobs if section in (None, job.name)],
                 [name for name in settings.SECTIONS if section in (None, name)])
    return OK


def _value(config, section: str, name: str, option) -> dict:
    """One option: its value as text, masked where it is secret, and where it comes from."""
    text, origin, place = config.written(section, name, option)
    if option.kind.lines:
        text = ", ".join(word for word in (line.strip(" ,") for line in text.split("\n")) if word)
    return {"value": _fit_to_be_seen(config.resolved(text, option), option), "origin": origin,
            "place": place, "default": _fit_to_be_seen(option.default, option)}


def _fit_to_be_seen(text: str, option) -> str:
    if option.kind.mask:
        return option.kind.mask(text)
    return hide_password(text) if "://" in text else text


def _shown(config, sections: dict) -> str:
    """A line an option: what set it, its name, its value. Long values are folded."""
    width = min(columns(), WIDEST)
    where = config.path if config.sources.found else f"{config.path} (not there: defaults)"
    lines = [f"Configuration: {where}",
             "Left, what set it: a line of that file, .env, environment, --set, or default."]
    for name, options in sections.items():
        lines += ["", f"[{name}]"]
        for option, found in options.items():
            line = found["place"].rpartition(" line ")[2]
            origin = {"file": f"line {line}", ".env": f".env {line}"}.get(found["origin"],
                                                                          found["origin"])
            lines += wrapped(f"{option} = {found['value']}", width, f"  {origin:<{ROOM}}",
                             " " * (ROOM + 6))
    return "\n".join(lines)
