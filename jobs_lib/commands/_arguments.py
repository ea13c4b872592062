"""Options of commands that are written like options of config.ini."""
from __future__ import annotations


def parsed_as(option_type):
    """What argparse calls to read a value of this type (config/option_types.py)."""
    from argparse import ArgumentTypeError

    def parse(word: str):
        try:
            return option_type.parse(word)
        except ValueError as error:
            raise ArgumentTypeError(f"{word!r}: {error}") from None
    return parse
