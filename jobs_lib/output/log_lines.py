"""What `logs` prints: a line of a log (docs/logs.md) in words, on one line, whatever is in it."""
from __future__ import annotations

import json

from jobs_lib.database import stored
from jobs_lib.runner.outcome import counts_words
from jobs_lib.text import took

from .layout import cut, one_line
from .listing import STARTED_BY
from .screen import Screen

COLOURS = {"warning": "yellow", "error": "red"}
ON_EVERY_LINE = ("time", "level", "event", "job", "run_id")
FIRST = ("attempt", "outcome", "status")        # of an event with many fields
TIMES = ("_at", "until", "slot")                # how the names of fields with a time end
LEVEL, DAMAGED = 7, 60                          # columns; characters that are shown


def parsed(line: bytes) -> dict:
    """The event; a line that is none is one of level `unknown`, with its beginning as `line`."""
    text = line.decode("utf-8", "replace")
    try:
        event = json.loads(text)
    except (ValueError, RecursionError):
        event = None
    if not (isinstance(event, dict) and event.get("event")):
        return {"time": None, "level": stored.UNKNOWN, "event": "line that cannot be read",
                "line": cut(one_line(text), DAMAGED)}
    return event


def log_line(event: dict, screen: Screen) -> str:
    """The event as a line."""
    time = stored.time(event.get("time"))
    at = f"{time.astimezone(screen.zone):%Y-%m-%d %H:%M:%S}" if time else f"{stored.UNKNOWN:<19}"
    level = one_line(event.get("level", ""))
    shown = "" if level in ("info", stored.UNKNOWN) else level
    name, fields = one_line(event["event"]), _facts(event, screen)
    text = f"{name}: {fields}" if fields else name
    return f"{at}  {screen.paint(COLOURS.get(level, ''), f'{shown:<{LEVEL}} {text}')}".rstrip()


def _facts(event: dict, screen: Screen) -> str:
    if event["event"] == "run started":
        by = STARTED_BY.get(str(event.get("trigger")), event.get("trigger"))
        slot = f", for {_value('slot', event['slot'], screen)}" if event.get("slot") else ""
        return one_line(f"by {by}{slot}")
    if event["event"] == "run ended":
        counts = event.get("counts")
        found = [f"{event.get('status')} in {took(stored.number(event.get('duration_ms')))}",
                 counts_words(dict(counts)) if isinstance(counts, dict) else "",
                 event.get("stop_reason"), event.get("error")]
        return one_line("; ".join(str(each) for each in found if each))
    if "traceback" in event:
        # the file has all of it
        last = str(event["traceback"]).strip().split("\n")[-1]
        event = {**event, "traceback": f"... {last}"}
    names = [name for name in event if name not in ON_EVERY_LINE]
    names.sort(key=lambda name: name not in ("id", *FIRST))
    facts = []
    for name in names:
        if event[name] not in (None, "", [], {}):
            value = _value(name, event[name], screen)
            facts.append(value if name == event["event"] else f"{name.replace('_', ' ')} {value}")
    return one_line(", ".join(facts))


def _value(name: str, value, screen: Screen) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, dict):
        return ", ".join(f"{str(each).replace('_', ' ')} {_value(each, value[each], screen)}"
                         for each in value)
    if isinstance(value, list):
        return ", ".join(_value("", each, screen) for each in value)
    if isinstance(value, str) and name.endswith(TIMES) and (time := stored.time(value)):
        return f"{time.astimezone(screen.zone):%Y-%m-%d %H:%M:%S}"
    return str(value)
