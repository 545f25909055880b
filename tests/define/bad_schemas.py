"""Documents whose input schema is wrong, written as `bad_documents.py` says."""

from __future__ import annotations

from typing import Final

from tests.define.bad_documents import wrong

__all__ = ["SCHEMAS"]

SCHEMAS: Final = (
    wrong(
        "schemas that are none",
        "unknown_keyword bad_schema bad_schema bad_schema bad_schema bad_schema schema_of_another_draft",
        """
        name: a
        input:
          ▸requird: [x]
          properties:
            x: {type: ▸strin}
            y: {minimum: ▸"1"}
            z: ▸7
          required: ▸x
          anyOf: ▸[]
          $schema: ▸"http://json-schema.org/draft-07/schema#"
        steps: [{id: a, type: noop}]
        """,
    ),
    wrong(
        "references that lead nowhere or out",
        "remote_reference remote_reference unknown_reference unknown_reference unknown_reference remote_reference",
        """
        name: a
        input:
          $defs: {n: {type: integer}}
          properties:
            a: {$ref: ▸"http://169.254.169.254/latest"}
            b: {$ref: ▸"file:///etc/passwd"}
            c: {$ref: ▸"#/$defs/m"}
            d: {$ref: ▸"#nowhere"}
            e: {$ref: ▸"#/properties/a/$ref"}
            f: {$id: ▸"https://example.org/f"}
            g: {$ref: "#/$defs/n"}
        steps: [{id: a, type: noop}]
        """,
    ),
    wrong(
        "a schema made of itself",
        "circular_reference",
        """
        name: a
        ▸input: {$ref: "#"}
        steps: [{id: a, type: noop}]
        """,
    ),
    wrong(
        "patterns and bounds",
        "bad_pattern bad_pattern bad_pattern bad_pattern bad_pattern bound_never_met bound_never_met",
        """
        name: a
        input:
          properties:
            a: {pattern: ▸"(?=a)b"}
            b: {pattern: ▸"("}
            c: {pattern: ▸'(a)\\1'}
            d: {pattern: ▸"(a{1000}){1000}"}
            e: {patternProperties: {▸"[": {}}}
            f: {minItems: ▸1.0e+12}
            g: {minLength: ▸99999999999}
            h: {pattern: "^(a+)+$", minItems: 0}
        steps: [{id: a, type: noop}]
        """,
    ),
    wrong(
        "choices that multiply",
        "schema_too_costly",
        """
        name: a
        input:
          $ref: "#/$defs/expression"
          $defs:
            expression:
              anyOf:
                - properties: {▸left: {$ref: "#/$defs/expression"}}
                - properties: {left: {$ref: "#/$defs/expression"}}
        steps: [{id: a, type: noop}]
        """,
    ),
    wrong(
        "defaults that do not fit",
        "default_does_not_fit default_does_not_fit",
        """
        name: a
        input:
          required: [x]
          additionalProperties: false
          $defs: {small: {type: integer, maximum: 9}}
          properties:
            x: {type: string}
            y: {type: integer, default: ▸five}
            z: {$ref: "#/$defs/small", default: ▸10}
            w: {$ref: "#/$defs/small", default: 5}
        steps: [{id: a, type: noop}]
        """,
    ),
    wrong(
        "more patterns than are compiled",
        "schema_too_large",
        "name: a\n▸input: {properties: {"
        + ", ".join(f"p{number}: {{pattern: a{number}}}" for number in range(101))
        + "}}\nsteps: [{id: a, type: noop}]\n",
    ),
)
