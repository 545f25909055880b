"""Protocols the shell needs from the world.

Each docstring states atomicity, idempotence, order and errors; the conformance suite proves them.
"""
