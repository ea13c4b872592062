"""No secret of the configuration in what is told, whoever's words it is in."""
from __future__ import annotations

from urllib.parse import unquote

from .. import settings
from ..options import STARS

SHORTEST = 6             # a shorter one may be a part of any word


class Masks:
    """The secrets that are set, by whatever source."""

    def __init__(self, config) -> None:
        self._secrets: set[str] = set()
        for section, known in settings.SECTIONS.items() if config else ():
            for name, option in known.items():
                text = config.written(section, name, option).text
                if option.kind.mask and option.kind.mask(text) == STARS:
                    self._add(text)
                elif "://" in text and "@" in text:
                    self._add(text.rpartition("@")[0].partition("://")[2].partition(":")[2])

    def _add(self, secret: str) -> None:
        self._secrets |= {word for word in (secret, unquote(secret)) if len(word) >= SHORTEST}

    def hidden(self, words: str) -> str:
        """The words with stars in place of each secret."""
        for secret in sorted(self._secrets, key=len, reverse=True):
            words = words.replace(secret, STARS)
        return words
