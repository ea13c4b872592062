"""The examples that the docs give to an app read our unsubscribe tokens, and nobody else's."""
from __future__ import annotations

import re

from jobs_lib.features.notifications import unsubscribe
from tests.house.source import ROOT


def test_the_python_of_the_docs_reads_our_tokens():
    page = (ROOT / "docs" / "notices.md").read_text(encoding="utf-8")
    code = re.search(r"(?s)```python\n(.*?)```", page)[1]
    found: dict = {}
    exec(code, found)
    import hmac
    key = hmac.digest(b"k" * 32, unsubscribe.LABEL.encode(), "sha256")
    token = unsubscribe.token(key, 7, "alias_expired")
    assert found["who"](token, "k" * 32) == ("7", "alias_expired")
    assert found["who"](token, "x" * 32) is None
    assert found["who"](token.replace("7.", "8.", 1), "k" * 32) is None
