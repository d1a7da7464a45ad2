"""What one message of a journal's stream holds: a frame, as in a file, or the note of
what was dropped unread. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence

import msgspec

from collectors.batch import Batch
from collectors.journal.frame import Damaged, Frame, header, intact, pack, unpack
from collectors.journal.journal_log import LogPiece

# In a file it is secret, so that no data looks like a frame; a message is one frame.
_MARKER = b"towpath\n"
DROPPED = "Towpath-Dropped"
MESSAGE_ID = "Nats-Msg-Id"
_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Batch)


class RowTooLarge(ValueError):
    """A single row does not fit into a message. `batch` has it."""

    def __init__(self, batch: Batch) -> None:
        super().__init__("is larger than the largest message of the servers")
        self.batch = batch


class StreamMessage(msgspec.Struct, frozen=True):
    """`id` depends on the rows only: the same rows sent again are kept once."""

    id: str
    data: bytes
    rows: int


class DroppedNote(msgspec.Struct, frozen=True):
    """Messages that were dropped before all readers had passed them: (sequence,
    rows)."""

    messages: list[tuple[int, int]]


def stream_messages(
    pieces: Sequence[LogPiece],
    committed_ms: int,
    max_bytes: int,
    too_large: list[RowTooLarge],
) -> Iterator[StreamMessage]:
    """One message, or several if it would be larger than `max_bytes`. What does not
    fit alone is added to `too_large`."""
    rows = sum(piece.rows for piece in pieces)
    data = pack(_MARKER, [piece.data for piece in pieces], rows, committed_ms)
    if len(data) <= max_bytes:
        digest = hashlib.blake2b(digest_size=16)
        for piece in pieces:
            digest.update(piece.data)
        yield StreamMessage(digest.hexdigest(), data, rows)
        return
    if len(pieces) == 1:
        batch = _decoder.decode(pieces[0].data)
        if len(batch) == 1:
            too_large.append(RowTooLarge(batch))
            return
        pieces = [_piece(half) for half in _halves(batch)]
    middle = len(pieces) // 2
    for half in (pieces[:middle], pieces[middle:]):
        yield from stream_messages(half, committed_ms, max_bytes, too_large)


def frame_of(data: bytes) -> Frame | None:
    """The header of a message's frame; None if the message is damaged."""
    frame = header(data, 0, _MARKER)
    if isinstance(frame, str) or not intact(frame, data):
        return None
    return frame


def batches_of(data: bytes) -> list[Batch]:
    """Raises `Newer` or `Damaged`."""
    frame = frame_of(data)
    if frame is None:
        raise Damaged("not a frame")
    return unpack(frame, data)


def _halves(batch: Batch) -> tuple[Batch, Batch]:
    middle = len(batch) // 2
    first = tuple(column[:middle] for column in batch.columns)
    second = tuple(column[middle:] for column in batch.columns)
    return (
        Batch(batch.source, batch.received_ms, batch.schema, first),
        Batch(batch.source, batch.received_ms, batch.schema, second),
    )


def _piece(batch: Batch) -> LogPiece:
    return LogPiece(_encoder.encode(batch), len(batch))
