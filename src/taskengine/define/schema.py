"""The checks of an input's schema: what is wrong with it is found when the workflow is defined, at its place in the document.

It reports; the words are `schema_codes.py`. A schema that passes compiles, refers to nothing outside, and costs little to apply.
"""

from __future__ import annotations

from typing import Any, Final, cast

from taskengine.define.finding import Aim, Keys, Spot
from taskengine.define.phrase import cropped, nearest, quoted
from taskengine.define.schema_graph import MAX_LOOKS, Circular, Costly, Parts, Unresolved
from taskengine.model.value import encode

__all__ = ["check_schema"]

_MAX_BYTES: Final = 262_144
_MAX_PATTERNS: Final = 100
_MAX_LARGE_PATTERNS: Final = 8
_LARGEST_INPUT: Final = 16_777_216
_DRAFT: Final = "https://json-schema.org/draft/2020-12/schema"
_OF_THE_WHOLE: Final = frozenset(
    ("required", "additionalProperties", "unevaluatedProperties", "minProperties", "dependentRequired", "propertyNames")
)
_FINEST: Final = 1e-15
_LEAST: Final = ("minItems", "minProperties", "minLength", "minContains")
_WORDS: Final = """
    $id $schema $ref $anchor $dynamicRef $dynamicAnchor $vocabulary $comment $defs allOf anyOf oneOf not if then else
    dependentSchemas prefixItems items contains properties patternProperties additionalProperties propertyNames
    unevaluatedItems unevaluatedProperties type enum const multipleOf maximum exclusiveMaximum minimum exclusiveMinimum
    maxLength minLength pattern maxItems minItems uniqueItems maxContains minContains maxProperties minProperties required
    dependentRequired title description default deprecated
    readOnly writeOnly examples format contentEncoding contentMediaType contentSchema definitions example discriminator
"""
_KEYWORDS: Final = frozenset(_WORDS.split())


def check_schema(schema: dict[str, Any], at: Spot) -> None:
    """Report what keeps the schema from being used. The library is asked only about one that is small and plain."""
    try:
        size = len(encode(schema))
    except (TypeError, ValueError, RecursionError):
        return  # it holds what could not be read, and that is reported already
    if size > _MAX_BYTES:
        at.report("schema_too_large", aim=Aim.KEY, found=f"{size} bytes", limit=_MAX_BYTES)
        return
    before = len(at.problems.found)
    parts = Parts(schema)
    draft = schema.get("$schema")
    if isinstance(draft, str) and draft.rstrip("#") != _DRAFT:
        at.below("$schema").report("schema_of_another_draft", found=quoted(draft))
    _check_meta(schema, at)
    if len(at.problems.found) == before:
        _check_parts(parts, at)
    if len(at.problems.found) == before:
        _check_looks(parts, at)
    if len(at.problems.found) == before:
        _check_whole(schema, at)
    _look_for_misspellings(parts, at)


def _check_meta(schema: dict[str, Any], at: Spot) -> None:
    from taskengine.define.fault import faults_of  # noqa: PLC0415 -- most workflows have no schema
    from taskengine.define.validator import problems_of  # noqa: PLC0415

    told: set[tuple[Keys, str]] = set()
    for error in problems_of(schema):
        if at.problems.is_full:
            return
        keys: Keys = tuple(error.instance_path)
        what = str(keys[-1]) if keys else "input"
        for fault in faults_of((error,), what=what):
            if (keys, fault.said) not in told:
                told.add((keys, fault.said))
                advice = _type_meant(error.instance) if keys and keys[-1] == "type" else ""
                at.below(*keys).report("bad_schema", problem=f"{cropped(what)} {fault.said}", advice=advice)


def _type_meant(written: object) -> str:
    known = {
        "str": "string", "text": "string", "int": "integer", "float": "number", "double": "number", "bool": "boolean",
        "list": "array", "tuple": "array", "dict": "object", "map": "object", "none": "null", "date": "string",
    }  # fmt: skip
    if not isinstance(written, str):
        return ""
    types = ("string", "integer", "number", "boolean", "array", "object", "null")
    meant = known.get(written.casefold(), "") or nearest(written, types)
    return f"did you mean {meant}?" if meant else f"a type is one of {', '.join(types)}"


def _check_parts(parts: Parts, at: Spot) -> None:
    """References, addresses, patterns and bounds of every part."""
    patterns: dict[str, Keys] = {}
    number = 0
    while number < len(parts.parts):  # resolving a reference may find further ones
        part, keys = parts.parts[number], parts.places[number]
        here = at.below(*keys)
        if keys and isinstance(part.get("$id"), str):
            here.below("$id").report("remote_reference", found=f"an address of its own, {quoted(part['$id'])},")
        for word, reference in parts.references(number):
            _check_reference(str(reference), here.below(word), parts=parts)
        if isinstance(part.get("pattern"), str):
            patterns.setdefault(part["pattern"], (*keys, "pattern"))
        for name in _names(part.get("patternProperties")):
            patterns.setdefault(name, (*keys, "patternProperties", name))
        for word in _LEAST:
            least = part.get(word)
            if isinstance(least, int | float) and least > _LARGEST_INPUT:
                here.below(word).report("bound_never_met", keyword=word, found=cropped(f"{least}"), limit=_LARGEST_INPUT)
        divisor = part.get("multipleOf")
        if isinstance(divisor, float) and divisor < _FINEST:
            problem = f"multipleOf {divisor} is finer than numbers are kept"
            here.below("multipleOf").report("bad_schema", problem=problem, advice=f"the least is {_FINEST}")
        number += 1
    _check_patterns(patterns, at)


def _names(value: object) -> list[str]:
    return list(cast("dict[str, Any]", value)) if isinstance(value, dict) else []


def _check_reference(reference: str, at: Spot, *, parts: Parts) -> None:
    try:
        parts.resolve(reference)
    except Unresolved as error:
        if error.is_remote:
            at.report("remote_reference", found=quoted(reference))
            return
        kept = [f"#/{word}/{name}" for word in ("$defs", "definitions") for name in _names(parts.parts[0].get(word))]
        at.report("unknown_reference", found=quoted(reference), word=reference, known=kept)


def _check_patterns(patterns: dict[str, Keys], at: Spot) -> None:
    from taskengine.define.validator import pattern_fault  # noqa: PLC0415

    if len(patterns) > _MAX_PATTERNS:
        at.report("schema_too_large", aim=Aim.KEY, found=f"{len(patterns)} patterns", limit=_MAX_PATTERNS)
        return
    large = 0
    for pattern, keys in patterns.items():
        reason = pattern_fault(pattern, may_be_large=large < _MAX_LARGE_PATTERNS)
        if reason == "large":
            large += 1
            reason = "" if large <= _MAX_LARGE_PATTERNS else "too many others are as large as it is"
        if reason:
            aim = Aim.KEY if "patternProperties" in keys[-2:] else Aim.VALUE
            at.below(*keys).report("bad_pattern", aim=aim, found=quoted(pattern), reason=reason, advice=_simpler(pattern))


def _simpler(pattern: str) -> str:
    if "(?=" in pattern or "(?!" in pattern or "(?<" in pattern:
        return "write it without (?=…), (?!…) and (?<…): two patterns under allOf say the same as a look ahead"
    return "write fewer or smaller repetitions, and close every bracket"


def _check_looks(parts: Parts, at: Spot) -> None:
    try:
        parts.most_looks()
    except Circular as error:
        at.below(*error.keys).report("circular_reference", aim=Aim.KEY, found=_name_of(error.keys))
    except Costly as error:
        at.below(*error.keys).report("schema_too_costly", aim=Aim.KEY, limit=MAX_LOOKS)


def _name_of(keys: Keys) -> str:
    return cropped("#" + "".join(f"/{key}" for key in keys))


def _check_whole(schema: dict[str, Any], at: Spot) -> None:
    """Compile it, and hold the defaults of the top against what is said of them."""
    from taskengine.define.validator import defaults_of, faults_in  # noqa: PLC0415

    defaults = defaults_of(schema)
    try:
        faults_in(schema, {})
        # Of the others nothing is said here, so nothing may be missing.
        open_schema = {word: value for word, value in schema.items() if word not in _OF_THE_WHOLE}
        faults = faults_in(open_schema, defaults) if defaults else ()
    except (ValueError, RecursionError) as error:  # what our own checks have not foreseen
        at.report("bad_schema", aim=Aim.KEY, problem=cropped(" ".join(str(error).split())), advice="")
        return
    for fault in faults:
        name = fault.keys[0] if fault.keys else ""
        if name in defaults:
            here = at.below("properties", name, "default")
            here.report("default_does_not_fit", property=quoted(str(name)), problem=fault.said)


def _look_for_misspellings(parts: Parts, at: Spot) -> None:
    for part, keys in zip(parts.parts, parts.places, strict=True):
        for word in part:
            if word in _KEYWORDS or at.problems.is_full:
                continue
            meant = nearest(word, tuple(_KEYWORDS))
            if meant:
                at.below(*keys, word).report("unknown_keyword", aim=Aim.KEY, found=quoted(word), meant=meant)
