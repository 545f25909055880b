"""Bodies of answers: unpacked as they arrive, and never more of them than was asked for. It owns no connection."""

from __future__ import annotations

import zlib
from typing import Final

from taskengine.errors import OutboundError

__all__ = ["Body"]

_AUTO: Final = 47  # zlib: gzip or zlib, whichever the first bytes say
_PLAIN: Final = -15  # deflate without a frame, which some servers mean by "deflate"
_SPARE: Final = 65_536  # packed bytes beyond the cap that may still be framing
_SHOWN: Final = 40


class Body:
    """One body on its way in. ``encoding``: the answer's ``content-encoding``."""

    def __init__(self, encoding: str, *, limit: int, url: str) -> None:
        self._limit = limit
        self._url = url
        self._parts: list[bytes] = []
        self._size = 0
        self._arrived = 0
        self._kind = encoding.strip().lower()
        if self._kind not in {"", "identity", "gzip", "x-gzip", "deflate"}:
            packed = "".join(one if one.isprintable() else "?" for one in self._kind[:_SHOWN])
            raise self._invalid(f"it is packed as {packed!r}, which was not asked for")
        self._is_packed = self._kind not in {"", "identity"}
        self._unpacker = zlib.decompressobj(_AUTO)

    def feed(self, data: bytes) -> None:
        """Take the next bytes. Raises ``response_too_large``, ``invalid_response``."""
        self._arrived += len(data)
        if self._arrived > self._limit + (_SPARE if self._is_packed else 0):
            raise self._too_large()
        if not self._is_packed:
            self._keep(data)
            return
        try:
            self._unpack(data)
        except zlib.error:
            raise self._invalid(f"it is not the {self._kind} that it says it is") from None

    def end(self) -> bytes:
        """All of it. Raises ``invalid_response`` when something is missing."""
        if self._is_packed and self._arrived and not self._unpacker.eof:
            raise self._invalid(f"its {self._kind} data breaks off")
        return b"".join(self._parts)

    def _unpack(self, data: bytes) -> None:
        while data:
            if self._unpacker.eof:
                self._unpacker = zlib.decompressobj(_AUTO)  # a gzip file may have several members
            room = self._limit - self._size + 1
            try:
                made = self._unpacker.decompress(data, room)
            except zlib.error:
                if self._kind != "deflate" or self._size or self._arrived != len(data):
                    raise
                self._unpacker = zlib.decompressobj(_PLAIN)
                made = self._unpacker.decompress(data, room)
            self._keep(made)
            data = self._unpacker.unconsumed_tail or self._unpacker.unused_data

    def _keep(self, data: bytes) -> None:
        self._size += len(data)
        if self._size > self._limit:
            raise self._too_large()
        self._parts.append(data)

    def _too_large(self) -> OutboundError:
        message = f"the answer has more than {self._limit} bytes"
        hint = "ask for less, or raise max_response_bytes"
        return OutboundError("response_too_large", message, hint=hint, url=self._url, limit=self._limit)

    def _invalid(self, reason: str) -> OutboundError:
        return OutboundError("invalid_response", f"the body of the answer cannot be read: {reason}", url=self._url)
