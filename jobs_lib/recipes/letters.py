"""What a notice says: its subject, its plain text and its HTML, from one pair of templates a kind.

`jobs_lib/templates/KIND.txt` begins with its `Subject:` line and an empty line; `KIND.html` is what stands between
the head and the signature of `layout.html`. Values are cut to one line each, so whatever a sender or an owner wrote
can add neither a line nor a header; HTML escapes them all.
"""
from __future__ import annotations

import pkgutil
import re
import textwrap
from collections import namedtuple

from .. import mustache
from .notices import one_line

WIDTH = 72                        # columns of plain text; a link is never broken
LABEL = re.compile(r"^ *(?:[-*] +|[A-Z][\w ]{0,18}: +)?")        # below its own beginning a folded line goes on

Letter = namedtuple("Letter", "subject text html")


def write(ctx, kind: str, persona: str, values: dict) -> Letter:
    """A notice of this kind. Besides `values` the templates know `app_url` ("" if there is none) and `signature`."""
    signature = vars(ctx.section("personas"))[persona].rpartition("<")[0].strip().strip('"')
    known = {"app_url": ctx.section("core").app_url.rstrip("/"), "signature": signature, **_plain(values)}
    head, _, body = mustache.render(_template(kind + ".txt"), known, html=False, name=kind + ".txt").partition("\n\n")
    subject = one_line(head.partition("Subject:")[2], 200)
    text = mustache.render(_template("layout.txt"), {**known, "body": body.strip("\n")}, html=False, name="layout.txt")
    inner = mustache.render(_template(kind + ".html"), known, html=True, name=kind + ".html")
    page = mustache.render(_template("layout.html"), {**known, "subject": subject, "body": inner.strip("\n")},
                           html=True, name="layout.html")
    return Letter(subject, fold(text), page)


def fold(text: str) -> str:
    """Lines of at most WIDTH columns; what was folded goes on below its own beginning, behind label and indent."""
    lines: list[str] = []
    for line in text.split("\n"):
        label = LABEL.match(line)
        indent = len(label.group()) if label else 0
        lines += textwrap.wrap(line, WIDTH, subsequent_indent=" " * indent, break_long_words=False,
                               break_on_hyphens=False, drop_whitespace=True) if len(line) > WIDTH else [line]
    return "\n".join(lines)


def size(number: int) -> str:
    """Bytes as people say them: `740 bytes`, `12 kB`, `3.4 MB`."""
    for unit, factor in (("MB", 1_000_000), ("kB", 1000)):
        if number >= factor:
            rounded = number / factor
            return f"{rounded:.1f} {unit}" if rounded < 9.95 and unit == "MB" else f"{rounded:.0f} {unit}"
    return f"{number} bytes"


def _plain(value):
    """Each text on one line; numbers and lists stay what they are."""
    if isinstance(value, dict):
        return {key: _plain(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_plain(inner) for inner in value]
    return one_line(value, 500) if isinstance(value, str) else value


def _template(name: str) -> str:
    data = pkgutil.get_data("jobs_lib", "templates/" + name) or b""         # works inside a .pyz too
    return data.decode("utf-8").replace("\r\n", "\n")               # an upload may have made CRLF of the line ends
