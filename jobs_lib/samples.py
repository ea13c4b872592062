"""What of a row a person may be shown: addresses masked, links without their query, secrets and contents never.

Two nets: a job names the columns of its sample, and what is in them goes through here all the same, since texts
such as a server's answer hold addresses of their own.
"""
from __future__ import annotations

import re

from .addresses import mask

NOT_SHOWN = "(not shown)"
SECRET = re.compile(r"secret|token|nonce|password|hash|cipher|payload|body|excerpt|details|_key\b")
ADDRESS = re.compile(r"[^\s<>()\[\]\"',;:/@]+@[^\s<>()\[\]\"',;:/@]+")
LOGIN = re.compile(r"(?<=://)[^\s/@]*@")
QUERY = re.compile(r"(\b[a-z][a-z0-9+.-]*://[^\s?#<>\"']*)[?#][^\s<>\"']*", re.IGNORECASE)


def sample(row: dict, columns) -> dict:
    """Those of the columns that the row has, fit to be shown."""
    return {name: value(name, row[name]) for name in columns if name in row}


def value(column: str, content):
    """One value of a column, fit to be shown."""
    if content is None or content == "":
        return content
    if SECRET.search(column) or isinstance(content, (bytes, bytearray)):
        return NOT_SHOWN
    return text(content) if isinstance(content, str) else content


def text(words: str) -> str:
    """Words with every address masked, and with neither login nor query in a link."""
    words = QUERY.sub(r"\1?...", LOGIN.sub("", words))
    return ADDRESS.sub(lambda found: mask(found[0]), words)
