"""The secrets of a configuration, so that no text that is stored or shown contains one."""
from __future__ import annotations

from .option_types import STARS, hide_password, private_url

SHORTEST_SECRET = 6          # a shorter value is a word that occurs anywhere
SHORTEST_KEY = 16            # in a path, among words such as `webhook`


def secrets(config) -> list[str]:
    """What is set for the options that are secret, and the parts of it that are by themselves; the
    longest first."""
    from urllib.parse import unquote

    found = {part for option, text in config.secrets() for part in _parts(option.kind.mask, text)}
    # as it is written in a URL, and as it is sent
    found |= {unquote(text) for text in found}
    return sorted((text for text in found if len(text) >= SHORTEST_SECRET), key=len, reverse=True)


def redacted(text: str, hidden: list[str]) -> str:
    """The text with stars in place of each of these secrets."""
    for secret in hidden:
        text = text.replace(secret, STARS)
    return text


def _parts(mask, text: str) -> list[str]:
    """The password in a URL; of a URL that is secret itself all of it, what is behind the host, and
    the key in that."""
    if mask is hide_password:
        return [_password(text)]
    if mask is not private_url.mask:
        return [text]
    path = text.partition("://")[2].partition("/")[2]
    keys = [path, *path.replace("?", "/").replace("=", "/").split("/")]
    return [text, *(part for part in keys if len(part) >= SHORTEST_KEY)]


def _password(url: str) -> str:
    """`user:password@` is all before the last `@`, as the MySQL dialect reads it."""
    return url.partition("://")[2].rpartition("@")[0].partition(":")[2]
