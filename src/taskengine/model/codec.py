"""Events as they are stored: JSON, one object each, the type first. A type this version does not know is an error by name."""

from __future__ import annotations

from typing import Final

import msgspec

from taskengine.errors import StorageError, UnknownEventError
from taskengine.model.event import EVENT_TYPES, Event

__all__ = ["decode_event", "encode_event", "type_of"]

_KNOWN: Final = frozenset(kind.__name__ for kind in EVENT_TYPES)

encode_event = msgspec.json.Encoder().encode
_decode: Final = msgspec.json.Decoder(Event).decode


class _Head(msgspec.Struct):
    type: str


_decode_head: Final = msgspec.json.Decoder(_Head).decode


def type_of(body: bytes) -> str:
    """The event's type, known or not. Raises ``StorageError`` for what is no event."""
    try:
        return _decode_head(body).type
    except (msgspec.DecodeError, RecursionError) as error:
        raise StorageError("unreadable_event", f"a stored event is no event: {error}") from error


def decode_event(body: bytes) -> Event:
    """Read one event back. ``UnknownEventError``: written by a newer version; ``StorageError``: damaged."""
    try:
        return _decode(body)
    except (msgspec.DecodeError, RecursionError) as error:
        kind = type_of(body)
        if kind not in _KNOWN:
            raise UnknownEventError(
                "unknown_event", f'the history holds an event of type "{kind}", which this version does not know', type=kind
            ) from error
        raise StorageError("unreadable_event", f"a stored {kind} cannot be read: {error}") from error
