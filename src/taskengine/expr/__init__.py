"""User expressions and templates: the only place that evaluates what a user wrote. Pure: one text and one context give one value.

An expression is minijinja's language over plain JSON data, narrowed to what can be judged before it is evaluated: names, operators,
literals, `a if c else b`, and the filters and tests of this room. There are no calls, no statements, no loops. The way of a text:
`tokens` reads it, `compiler` refuses or translates it, `interpreter` has minijinja evaluate the translation, and whatever minijinja
meets there is an operation of `names`, `operators` or `filters`.
"""

from __future__ import annotations

from taskengine.expr.equalities import Equality, equalities
from taskengine.expr.expression import ROOTS, Expression, expression, truth
from taskengine.expr.template import Template, template

__all__ = ["ROOTS", "Equality", "Expression", "Template", "equalities", "expression", "template", "truth"]
