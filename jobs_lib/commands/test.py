"""Try a job by hand: what it would do, row by row.

It also shows when the job runs, and its options. Without --live it is a dry run: the database
refuses to write, and nothing else is touched. With --live it runs as `jobs.py JOB` does.
"""
from __future__ import annotations

from jobs_lib import catalogue
from jobs_lib.config.option_types import positive
from jobs_lib.engines import guard
from jobs_lib.errors import FAILED, OK
from jobs_lib.folders import program, unusable
from jobs_lib.monitoring import overview
from jobs_lib.output.layout import Screen, wrapped
from jobs_lib.output.listing import WIDTH, dry_lines, listing
from jobs_lib.output.terminal import paint
from jobs_lib.runner import outcome, runner


def arguments(parser) -> None:
    parser.add_argument("job", metavar="JOB", help="a job; `jobs.py list` shows them")
    parser.add_argument("--live", action="store_true", help="run for real, and show what was done")
    options(parser)


def options(parser) -> None:
    """Declares what every run takes: --limit, --set, --yes, --json."""
    parser.add_argument("--limit", type=positive, metavar="N",
                        help="handle at most N items in each step")
    parser.add_argument("--set", action="append", default=[], metavar="OPTION=VALUE",
                        help="use another value in this run: of an option of the job, or of "
                        "SECTION.OPTION")
    parser.add_argument("--yes", action="store_true", help="do what the guard has stopped, this "
                                                           "once (docs/failures.md)")
    parser.add_argument("--json", action="store_true", help="print one JSON document")


def run(args, make_session, config_path) -> int:
    job = catalogue.load(args.job)
    session = make_session(config_path, -1 if args.json else 1, args.set, job)
    config, ports, console = session.config, session.ports, session.console
    refused = unusable(config)      # a dry run would not notice: it takes no lock
    found = overview.collect(config, ports.database(readonly=True), ports.now())
    about = next(each for each in found["jobs"] if each["name"] == job.name)
    about["unusable"] = refused
    about["options"] = {name: config.written(job.name, name, option).text
                        for name, option in job.options.items()}
    if not args.json:
        options = [line for name, value in about["options"].items()
                   for line in wrapped(f"{name} = {value}", WIDTH, "  ", "      ")]
        console.answer("\n".join([paint("bold", f"{job.name}: {job.summary}"), "",
                                  listing([about], Screen(session)), *options, ""]))
    result = runner.run(session, job, runner.Request("manual", None, args.limit, not args.live,
                                                     args.yes))
    if args.json:
        console.document({**about, **outcome.as_json(result), "samples": console.samples})
    elif args.live:
        console.answer("\n".join([paint("bold", "What it did"), *_done(result, ports)]))
    else:
        console.answer("\n".join([
            paint("bold", "What it would do now (a dry run: nothing is changed or sent)"),
            *dry_lines(result, console.samples), "",
            *_for_real(args, config, "held" in result)]))
    for sentence in refused:
        console.fail(f"cron cannot run it: {sentence}")
    return outcome.exit_code(result) or (FAILED if refused else OK)


def _done(result: dict, ports) -> list[str]:
    """The outcome, and what the guard says of what it has held back."""
    lines = wrapped(outcome.outcome_words(result), WIDTH, "  ", "  ")
    stored = ports.database().value(
        "SELECT last_options FROM {job_state} WHERE job = :job", job=result["job"])
    for each in guard.reported(stored):
        if each.name in result.get("held", ()):
            lines += wrapped(each.why, WIDTH, "  ", "  ")
    return lines


def _for_real(args, config, is_held) -> list[str]:
    """The same command, for real; then with `--yes`, which confirms what that has reported."""
    limit = f" --limit {args.limit}" if args.limit else ""
    real = (f"  {program(config.path)} test {args.job} --live{limit}{config.overrides}"
            + " --yes" * (args.yes and not is_held))
    held = paint("dim", "  # if you mean all that the guard holds back"), f"{real} --yes"
    return [paint("dim", "  # for real"), real, *(held if is_held else ())]
