"""A small part of Mustache, for the notices, the status page and the metrics, which an operator can
write without knowing Python:

    {{name}}                  the value, on one line; in HTML `&`, `<`, `>` and quotes are escaped
    {{#name}} ... {{/name}}   for each item of a list, or once if it is neither empty nor false
    {{^name}} ... {{/name}}   once if it is empty or false
    {{> name}}                on a line to itself: the lines of another template

Inside a list the names of the item come first, then those around it; `{{.}}` is an item that is no
dict. A tag of a section on a line of its own takes that line away. None is shown as nothing; a name
that nobody gives is an error. What else mustache(5) has is left out.
"""
from __future__ import annotations

import re
from html import escape

from jobs_lib.errors import JobsError

from . import one_line

LONGEST = 1000  # characters of a value: a DKIM key of 4096 bits, which is copied
TAG = re.compile(r"""
    \{\{ (?P<mark>[#^]) \s* (?P<section>[\w.]+) \s* \}\}
        (?P<inside>.*?)
    \{\{ / \s* (?P=section) \s* \}\}
  | \{\{ \s* (?P<value>[\w.]+) \s* \}\}
  | (?P<slip>\{\{ .{0,30})
""", re.DOTALL | re.VERBOSE)
ALONE = re.compile(r"^[ \t]*(\{\{[#^/][^}]*\}\})[ \t]*\n", re.MULTILINE)
PARTIAL = re.compile(r"^[ \t]*\{\{>\s*([\w.]+)\s*\}\}[ \t]*\n", re.MULTILINE)


class TemplateError(JobsError):
    """A template cannot be used; the message says which, where and why."""


def render(source: str, values: dict, *, html: bool, name: str, partial) -> str:
    """The template filled in; `partial(name)` reads another template."""
    source = PARTIAL.sub(lambda found: partial(found[1]), source)
    return _filled(ALONE.sub(r"\1", source), values, html, name)


def _filled(source: str, values: dict, html: bool, name: str) -> str:
    """In one pass, so that no value is ever read as a template."""
    def fill(found: re.Match) -> str:
        tag = found.groupdict()
        if tag["slip"]:
            raise TemplateError(f"{name}: cannot read {tag['slip']!r}: no tag that is known, or a "
                                "section without its other end")
        word = tag["section"] or tag["value"]
        if word not in values:
            raise TemplateError(f"{name}: nothing is called {word!r} here; there is "
                                + ", ".join(sorted(values)))
        value = values[word]
        if tag["value"]:
            text = "" if value is None else one_line(value, LONGEST)
            return escape(text) if html else text
        if tag["mark"] == "^":
            value = not value
        # what is no list adds no names
        items = value if isinstance(value, list) else [{}] if value else []
        return "".join(_filled(tag["inside"], {
            **values, **(item if isinstance(item, dict) else {".": item})}, html, name)
            for item in items)
    return TAG.sub(fill, source)
