"""What an incident is: the nine kinds, what the files of runner/incident_files.py record as one,
and how its texts are written.
"""
from __future__ import annotations

from jobs_lib import clock
from jobs_lib.errors import Unfit
from jobs_lib.records import namedtuple
from jobs_lib.runner import doubt, incident_files

# each is a heading in docs/monitoring.md
KINDS = ("failing", "late", "waiting", "relay", "disk", "configuration", "installation", "guard",
         "doubt")
ERROR_LENGTH = 500
Notice = namedtuple("Notice", "state incident over_at", defaults=(None,))
Notice.__doc__ = """What is to be reported of an incident: that it is `new`, `still` there, `over`
(at a time), or was over when it was found (`once`)."""


class Incident(namedtuple("Incident", "key subject since what command error jobs is_over",
                          defaults=("", (), False))):
    """One thing that needs the operator.

    key      names it, and stays the same while it lasts: `failing:retry_forwards`
    subject  in a few words, with the name of its cause; safe to publish
    since    aware UTC datetime
    what     one or two sentences: what follows from it, and what to do; safe to publish, but of
             the guard's
    command  to run next, without what a command line begins with
    error    the last one, or "": addresses masked, but for what is set in config.ini
    jobs     that it is about: it explains whatever else is wrong with them
    is_over  it was over when it was found, and is reported once
    """

    __slots__ = ()

    @property
    def kind(self) -> str:
        """One of KINDS."""
        return self.key.partition(":")[0]


# {a file of runner/incident_files.py: (subject, what, command, what was impossible meanwhile)}
OUTAGES = {
    incident_files.DATABASE: (
        "the database cannot be used",
        ("No job runs until this is fixed: the database is missing, damaged, out of reach or "
        "read-only, another process has locked it, or its disk is full. Due work waits."),
        "doctor", "no job could use the database"),
    incident_files.FILES: (
        "the jobs cannot use some of their files",
        ("Jobs that need them do not run. Usually a command was run as another user, such as root, "
        "and left files that belong to that user."), "doctor", "no job could be started"),
}
DOUBTS = {doubt.CLOCK: "nothing is deleted: the clock is in doubt",
          doubt.RESTORED: "nothing is sent or deleted: the database looks like a restored backup"}


def of_file(name: str, error, since) -> Incident:
    """An incident that a file records, so that it is known without a database. `error`: a
    DatabaseError or OSError, or its text."""
    subject, what, command, _ = OUTAGES[name]
    if isinstance(error, Unfit):
        subject, command = "the database does not match this version", error.command
    return Incident(f"installation:{name}", subject, since, what, command, short_error(str(error)))


def past(config, name: str, begin, end, error: str) -> Incident:
    """What a file has recorded, once it is over."""
    return _ended(f"installation:{name}", OUTAGES[name][-1], begin, end, config.zone(), error)


def gap(facts, rows: dict) -> list[Incident]:
    """The last time without cron, once it is over. Not where an outage explains it, which is in the
    `rows` of `alerts`: one cause, one alert."""
    if not facts.cron.gap:
        return []
    begin, end = facts.cron.gap
    if any(row["kind"] == "installation" and row["since"] and begin <= row["since"] <= end
           for row in rows.values()):
        return []
    return [_ended("late:cron", "no job was started", begin, end, facts.zone)]


def _ended(key: str, subject: str, begin, end, zone, error: str = "") -> Incident:
    start, to = short_time(begin, zone), short_time(end, zone)
    when = f"between {start.removesuffix(to[5:])} and {to}" if start != to else f"at {to}"
    return Incident(f"{key} {clock.text(begin)}", f"{subject} {when}", begin,
                    "Jobs that were missed run now, once each.", "history", short_error(error),
                    is_over=True)


# Texts

def short_error(error: str | None) -> str:
    """An error as it may be shown: on one line, not too long, addresses masked."""
    if not error:
        return ""
    from jobs_lib.text.masking import text as masked  # mostly there is none
    short = " ".join(masked(error).split())
    return short if len(short) <= ERROR_LENGTH else short[:ERROR_LENGTH] + "..."


def cause(error: str) -> str:
    """What the errors of two jobs with the same cause have in common."""
    return "".join(sign for sign in error if not sign.isdigit())


def short_time(moment, zone) -> str:
    """`14:05 UTC on 24 Nov`, in the operator's zone, by its short name."""
    local = moment.astimezone(zone)
    return f"{local:%H:%M %Z} on {local.day} {local:%b}"
