"""When a group of tasks has succeeded, as a document says it: ``all``, ``any``, a number or share of them, or ``when``."""

from __future__ import annotations

import re
from typing import Final

from taskengine.define.finding import Aim, Spot
from taskengine.define.given import is_mapping
from taskengine.define.phrase import nearest, quoted
from taskengine.define.rules import CHILDREN, PERCENT
from taskengine.define.values import WRONG, Wrong, between, condition, wrong_type
from taskengine.model.workflow import Success

__all__ = ["SHARE", "WORDS", "success", "written_success"]

WORDS: Final = {"all": Success(), "any": Success(at_least=1)}
SHARE: Final = r"^\s*[0-9]{1,3}(\.[0-9]+)?\s*%\s*$"  # as a pattern of JSON Schema
_KEYS: Final = ("at_least", "when")
_EXPECTED: Final = 'all, any, {at_least: 2}, {at_least: "80%"} or {when: …}'
_OTHERS: Final = {
    **dict.fromkeys(("min", "minimum", "count", "percent", "quorum"), "at_least"),
    **dict.fromkeys(("if", "condition"), "when"),
}


def success(value: object, at: Spot) -> Success | Wrong:
    """Read one."""
    if isinstance(value, str):
        if value in WORDS:
            return WORDS[value]
        at.report("unknown_choice", what="success", found=quoted(value), note=f"one of {_EXPECTED}", word=value, known=list(WORDS))
        return WRONG
    if not is_mapping(value):
        advice = f"write success: {{at_least: {value}}}" if isinstance(value, int) and not isinstance(value, bool) else ""
        return wrong_type(value, at, expected=_EXPECTED, advice=advice)
    known = [key for key in value if _is_known(key, at)]
    said = [key for key in known if value[key] is not None]
    if len(said) > 1:
        at.below(said[1]).report("conflicting_keys", aim=Aim.KEY, key=quoted(said[1]), other=quoted(said[0]))
        return WRONG
    if not said:
        if len(known) == len(value):
            at.report("missing_key", where="success", key='"at_least"', advice=f"one of {_EXPECTED}")
        return WRONG
    key = said[0]
    return _at_least(value[key], at.below(key)) if key == "at_least" else _when(value[key], at.below(key))


def written_success(rule: Success) -> object:
    """As a document says it; what a rule holds beside its first field is lost."""
    if rule.when is not None:
        return {"when": rule.when}
    if rule.percent is not None:
        return {"at_least": f"{_digits(rule.percent)}%"}
    if rule.at_least is not None:
        return "any" if rule.at_least == 1 else {"at_least": rule.at_least}
    return "all"


def _is_known(key: str, at: Spot) -> bool:
    if key in _KEYS:
        return True
    meant = _OTHERS.get(key.casefold(), "") or nearest(key, _KEYS)
    advice = f"did you mean {quoted(meant)}?" if meant else ""
    note = "" if meant else f"known keys: {', '.join(_KEYS)}"
    at.below(key).report("unknown_key", aim=Aim.KEY, key=quoted(key), where="success", advice=advice, note=note)
    return False


def _at_least(value: object, at: Spot) -> Success | Wrong:
    if isinstance(value, str) and re.search(SHARE, value):
        percent = between("at_least", PERCENT)(float(value.strip().rstrip("% ")), at)
        return Success(percent=percent) if isinstance(percent, float) else WRONG
    if isinstance(value, str) and not value.strip().isdecimal():
        return wrong_type(value, at, expected='a whole number, or a share such as "80%"')
    count = between("at_least", CHILDREN)(value, at)
    return Success(at_least=count) if isinstance(count, int) else WRONG


def _when(value: object, at: Spot) -> Success | Wrong:
    read = condition(value, at)
    return Success(when=read) if isinstance(read, str) else WRONG


def _digits(percent: float) -> str:
    """The shortest digits that read back as the same number, never with an exponent."""
    digits = repr(float(percent)).removesuffix(".0")
    if "e" not in digits:
        return digits
    from decimal import Decimal  # noqa: PLC0415 -- shares below a ten thousandth are rare

    return f"{Decimal(digits):f}"
