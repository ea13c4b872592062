"""Arguments that several commands read alike: like options of config.ini, or without showing them.
"""
from __future__ import annotations

import sys

from jobs_lib.errors import UsageError

SEEN = ("note: other users of this machine can see a command line, and your shell keeps it. "
        "Next time")


def parsed_as(option_type):
    """What argparse calls to read a value of this type (config/option_types.py)."""
    from argparse import ArgumentTypeError

    def parse(word: str):
        try:
            return option_type.parse(word)
        except ValueError as error:
            raise ArgumentTypeError(f"{word!r}: {error}") from None
    return parse


def asked(what: str) -> str:
    """A secret, from a terminal without showing it, or a line of stdin. UsageError if the terminal
    ends instead."""
    if not sys.stdin.isatty():
        return sys.stdin.readline().rstrip("\r\n")
    from getpass import getpass
    try:
        return getpass(f"{what}: ")
    except EOFError:
        raise UsageError(f"{what}: no value was given") from None
