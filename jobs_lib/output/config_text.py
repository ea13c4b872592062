"""What `config show` prints: each option's value, and what set it."""
from __future__ import annotations

from .console import WIDEST, columns
from .layout import wrapped

ROOM = 12           # of the column that says what set it


def shown(config, sections: dict) -> str:
    """A line an option: what set it, its name, its value. Long values are folded."""
    width = min(columns(), WIDEST)
    where = config.path if config.sources.found else f"{config.path} (not there: defaults)"
    lines = [f"Configuration: {where}",
             "Left, what set it: a line of that file, .env, environment, --set, or default."]
    for name, options in sections.items():
        lines += ["", f"[{name}]"]
        for option, found in options.items():
            lines += wrapped(f"{option} = {found['value']}", width, f"  {_origin(found):<{ROOM}}",
                             " " * (ROOM + 6))
    return "\n".join(lines)


def _origin(found: dict) -> str:
    if found["origin"] in ("file", ".env"):
        line = found["place"].rpartition(" line ")[2]
        return f"line {line}" if found["origin"] == "file" else f".env {line}"
    return found["origin"]
