"""Look-ups in a fixed order, for the resolvers of tests that only know `look_up`."""
from __future__ import annotations


class OneByOne:
    """`each` of a resolver, by one `look_up(name, kind)` after the other."""

    def each(self, items, stopped):
        for item, questions in items:
            if stopped():
                return
            try:
                answers = {question: self.look_up(*question) for question in questions}
            except Exception as error:      # noqa: BLE001  a defect, of this item alone
                yield item, error
            else:
                yield item, answers
