"""`did you mean`: the nearest known words behind a wrong one."""
from __future__ import annotations

MOST = 3
OTHER_NAMES = {"ssl": "tls"}         # what is near in meaning, not in spelling


def did_you_mean(word: str, known) -> str:
    """`; did you mean 'retry_forwards'?`, up to three of them, or nothing when no known word is near."""
    from difflib import get_close_matches  # loaded only where something is wrong already

    plain = {_plain(name): name for name in known}
    wrong = _plain(word)
    near = sorted(name for name in plain if name.startswith(wrong))[:MOST] if len(wrong) >= 3 else []    # `purge`
    near = near or [name for name in plain if name == OTHER_NAMES.get(wrong)]
    near = near or get_close_matches(wrong, list(plain), n=1, cutoff=0.65)
    words = [f"'{plain[name]}'" for name in near]
    if not words:
        return ""
    return f"; did you mean {', '.join(words[:-1]) + ' or ' if words[1:] else ''}{words[-1]}?"


def _plain(word: str) -> str:
    return word.strip().lower().replace("-", "_").strip("_")


def one_of(*words: str):
    """A type for argparse: one of these words, or UsageError with the nearest of them."""
    def parse(word: str) -> str:
        if word in words:
            return word
        from .errors import UsageError
        listed = f"{', '.join(words[:-1])} or {words[-1]}" if words[1:] else words[0]
        raise UsageError(f"{word!r}: expected {listed}{did_you_mean(word, words)}")
    return parse
