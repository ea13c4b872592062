"""What `status JOB` prints: one job's state, what it waits for, its queue, incidents and runs."""
from __future__ import annotations

import sys

from .layout import wrapped
from .listing import COLOURS, history
from .screen import Screen
from .status import incident_lines, note_lines, queue_words

LABEL = 11          # columns


def one_job(found: dict, screen: Screen) -> str:
    """The whole answer. `found`: monitoring/one_job.py."""
    job, paint = found["job"], screen.paint
    style = "red" if found["incidents"] else COLOURS.get(job["state"], "yellow")
    state = "needs you" if found["incidents"] else job["state"]
    lines = [f"{paint('bold', job['name'])}: {paint(style, state)}", f"{job['summary']}."]
    for each in found["incidents"]:
        lines += ["", *incident_lines(each, screen)]
    facts = [("When", job["when"] or "-"), ("Waits for", found["waits_for"]),
             ("Last good", screen.at(job["last_ok_at"]) if job["last_ok_at"] else "never yet")]
    if found["queue"]:
        facts.append(("Queue", queue_words(found["queue"])))
    lines.append("")
    for name, text in facts:
        lines += wrapped(text, screen.width, f"{name + ':':<{LABEL}}", " " * LABEL)
    if not found["incidents"]:
        lines += note_lines(job, screen)
    if found["runs"]:
        width = screen.width if sys.stdout is not None and sys.stdout.isatty() else None
        lines += ["", history(found["runs"], job["name"], screen, width)]
    return "\n".join([*lines, "", screen.clock()] if not found["runs"] else lines)
