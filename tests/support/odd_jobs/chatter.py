"""Log many events quickly."""
from tests.support.product import Option, declare
from tests.support.product import option_types as kind


@declare(schedule="17 3 * * *", enabled="no",
         options={"lines": Option(kind.integer(0, 1000000), "100", "How many.")})
def job(ctx):
    for number in range(ctx.options.lines):
        ctx.log.event("word", number=number, text="x" * (number % 200))
    return {"lines": ctx.options.lines}
