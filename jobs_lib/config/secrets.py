"""The secrets of a configuration: what of them may be shown, and which texts are to be kept out of
all that is stored or shown."""
from __future__ import annotations

STARS = "********"
SHORTEST_SECRET = 6          # a shorter value is a word that occurs anywhere
SHORTEST_KEY = 16            # in a path, among words such as `webhook`


def hide_all(value: str) -> str:
    """Stars, which do not show the value's length."""
    return STARS if value else ""


def hide_password(value: str) -> str:
    """A URL with all but its password; where it is none, too little rather than too much."""
    import re  # nothing is shown by most runs
    scheme = r"^((?:\w+://|(?!\w+://))[^:]*):"
    if "@" in value:
        value = re.sub(f"{scheme}.*@", rf"\1:{STARS}@", value, flags=re.DOTALL)
    else:  # the host was forgotten: user:password
        value = re.sub(rf"{scheme}(?!\d+(?:/|$)).*", rf"\1:{STARS}", value, flags=re.DOTALL)
    return re.sub(r"(?is)\?.*(pass|secret).*", f"?{STARS}", value)


def hide_path(value: str) -> str:
    """The host of a URL, and nothing behind it: that is as good as a password."""
    scheme, slashes, rest = value.partition("://")
    host = rest.partition("/")[0].rpartition("@")[2]
    return f"{scheme}{slashes}{host}/{STARS}" if slashes else hide_all(value)


def secret_texts(written: list) -> list[str]:
    """What is secret in these (mask, text), whole and in the parts that are secret by themselves;
    the longest first."""
    from urllib.parse import unquote

    found = {part for mask, text in written for part in _parts(mask, text)}
    # as it is written in a URL, and as it is sent
    found |= {unquote(text) for text in found}
    long = [text for text in found if len(text) >= SHORTEST_SECRET]
    return sorted(long, key=len, reverse=True)


def _parts(mask, text: str) -> list[str]:
    """The password in a URL; of a URL that is secret itself all of it, what is behind the host, and
    the key in that."""
    rest = text.partition("://")[2]
    if mask is hide_password:  # all before the last @, as the MySQL dialect reads it
        return [rest.rpartition("@")[0].partition(":")[2]]
    if mask is hide_all:
        return [text]
    path = rest.partition("/")[2]
    keys = path.replace("?", "/").replace("=", "/").split("/")
    return [text, path, *(part for part in keys if len(part) >= SHORTEST_KEY)]
