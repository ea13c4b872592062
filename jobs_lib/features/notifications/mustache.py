"""Templates in a small part of Mustache, which an operator can write without knowing Python.

    {{name}}                  the value; `&`, `<`, `>` and quotes are escaped where the page is HTML
    {{{name}}}                the value as it is
    {{#name}} ... {{/name}}   for each item of a list, or once if it is neither empty nor false
    {{^name}} ... {{/name}}   once if it is empty or false
    {{! words }}              nothing
    {{> name}}                on a line to itself: the lines of another template

Inside a list the names of the item come first, then those around it; `{{.}}` is an item that is no
dict. A tag of a section or a comment that has a line to itself takes the whole line away. None is
shown as nothing; a name that nobody gives is an error, so that a slip is seen at once. Source: the
mustache(5) manual; lambdas, other delimiters and partials inside of partials are left out.
"""
from __future__ import annotations

import re
from html import escape

from jobs_lib.errors import JobsError

TAG = re.compile(r"\{\{(?:\{\s*([\w.]+)\s*\}|([#^/])\s*([\w.]+)\s*|(!).*?|\s*([\w.]+)\s*)\}\}",
                 re.DOTALL)
ALONE = re.compile(r"^[ \t]*(\{\{[#^/!][^}]*\}\})[ \t]*\n", re.MULTILINE)
PARTIAL = re.compile(r"^[ \t]*\{\{>\s*([\w.]+)\s*\}\}[ \t]*\n", re.MULTILINE)


class TemplateError(JobsError):
    """A template cannot be used; the message says which, where and why."""


def render(source: str, values: dict, *, html: bool, name: str = "template", partial=None) -> str:
    """The template filled in. `name` is for the errors; `partial(name)` reads another template."""
    if partial:
        source = PARTIAL.sub(lambda found: partial(found[1]), source)
    nodes = _parse(ALONE.sub(r"\1", source), name)
    return "".join(_filled(nodes, [values], html, name))


def _parse(source: str, name: str) -> list:
    """A list of (kind, what): text, value, raw, or a section's (kind, (name, nodes))."""
    top: list = []
    open_sections: list = [("", top)]
    at = 0
    for found in TAG.finditer(source):
        _text(open_sections[-1][1], source[at:found.start()], name)
        at = found.end()
        raw, mark, section, _, plain = found.groups()
        nodes = open_sections[-1][1]
        if mark == "/":
            if open_sections[-1][0] != section:
                raise TemplateError(f"{name}: {{{{/{section}}}}} closes what is not open")
            open_sections.pop()
        elif mark:
            inside: list = []
            nodes.append((mark, (section, inside)))
            open_sections.append((section, inside))
        elif raw or plain:
            nodes.append(("raw", raw) if raw else ("value", plain))
    _text(open_sections[-1][1], source[at:], name)
    if len(open_sections) > 1:
        raise TemplateError(f"{name}: the section {open_sections[-1][0]!r} is never closed")
    return top


def _text(nodes: list, words: str, name: str) -> None:
    start = words.find("{{")
    if start >= 0:
        raise TemplateError(f"{name}: cannot read {words[start:start + 30]!r}")
    if words:
        nodes.append(("text", words))


def _filled(nodes: list, scopes: list, html: bool, name: str):
    for kind, what in nodes:
        if kind == "text":
            yield what
        elif kind in ("value", "raw"):
            found = _find(what, scopes, name)
            words = "" if found is None else str(found)
            yield escape(words) if html and kind == "value" else words
        else:
            section, inside = what
            value = _find(section, scopes, name)
            if kind == "^":
                if not value:
                    yield from _filled(inside, scopes, html, name)
            elif isinstance(value, list):
                for item in value:
                    yield from _filled(inside, [*scopes, item], html, name)
            elif value:
                yield from _filled(inside, scopes, html, name)


def _find(word: str, scopes: list, name: str):
    if word == ".":
        return scopes[-1]
    named = [scope for scope in scopes if isinstance(scope, dict)]
    for scope in reversed(named):
        if word in scope:
            return scope[word]
    known = ", ".join(sorted({key for scope in named for key in scope}))
    raise TemplateError(f"{name}: nothing is called {word!r} here; there is {known}")
