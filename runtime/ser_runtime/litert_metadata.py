"""Properties in a LiteRT file's own metadata table, and a checksum over the whole file.

A LiteRT file is a flatbuffer whose `Model` table lists named buffers (`metadata`). Two are ours:

- `ser_edge`: the properties as one JSON object of strings, the same as an ONNX file of `ser-export`
  has in its `metadata_props`;
- `ser_edge_sha256`: SHA-256 of the file, these 32 bytes taken as zeros. The interpreter runs a file
  with damaged weights without a word.

Field numbers are those of TensorFlow's `schema.fbs`, version 3.
"""

from __future__ import annotations

import hashlib
import json
import struct
from collections.abc import Iterator
from collections.abc import Mapping
from contextlib import contextmanager

import flatbuffers
from flatbuffers.number_types import Uint32Flags
from flatbuffers.number_types import Uint64Flags
from flatbuffers.table import Table

from ser_runtime.errors import ModelFileError

IDENTIFIER = b"TFL3"
PROPERTIES = "ser_edge"
CHECKSUM = "ser_edge_sha256"

# Fields of the tables Model, Buffer and Metadata.
_VERSION, _BUFFERS, _METADATA, _MODEL_FIELDS = 0, 4, 6, 8
_BUFFER_DATA, _BUFFER_OFFSET = 0, 1
_METADATA_NAME, _METADATA_BUFFER = 0, 1
_ALIGNMENT = 16


def read_litert_metadata(content: bytes) -> dict[str, str]:
    """Properties by `write_litert_metadata`; none in a file of others.

    Raises:
        ModelFileError: If the file is damaged, or was changed after they were written.
    """
    with _naming_damage():
        model = _root(content)
        entries = _metadata(model)
        if PROPERTIES not in entries:
            return {}
        text = content[_data_of_buffer(model, entries[PROPERTIES])]
        place = _data_of_buffer(model, entries.get(CHECKSUM, 0))
        if content[place] != _checksum(content, place):
            raise ValueError("its checksum differs; copy it, or export the model, again")
        properties = json.loads(text)
        if not isinstance(properties, dict) or not all(
            isinstance(value, str) for value in properties.values()
        ):
            raise ValueError(f"{PROPERTIES} must be a JSON object of strings")
        return properties


def write_litert_metadata(content: bytes, properties: Mapping[str, str]) -> bytes:
    """A LiteRT file with properties, in place of those it may have.

    The old content, whose references are all relative, stays as it is, behind a new `Model` table.

    Args:
        content: Of the file, as the converter made it.
        properties: `ModelMetadata.to_properties()`.

    Raises:
        ModelFileError: If `content` is no LiteRT file, is damaged, or keeps weights outside of the
            flatbuffer.
    """
    text = json.dumps(dict(properties), sort_keys=True).encode()
    with _naming_damage():
        stamped = _with_entries(content, {PROPERTIES: text, CHECKSUM: bytes(32)})
        model = _root(stamped)
        place = _data_of_buffer(model, _metadata(model)[CHECKSUM])
        stamped[place] = _checksum(stamped, place)
        return bytes(stamped)


@contextmanager
def _naming_damage() -> Iterator[None]:
    """Offsets that lead nowhere end in one of these errors, within flatbuffers or here."""
    try:
        yield
    except (struct.error, IndexError, TypeError, ValueError, RecursionError) as error:
        raise ModelFileError(f"it is a damaged LiteRT file: {error}") from error


def _root(content: bytes | bytearray) -> Table:
    if content[4:8] != IDENTIFIER:
        raise ValueError(f"{IDENTIFIER.decode()} is not at its byte 4")
    model = Table(content, struct.unpack_from("<I", content)[0])
    if any(model.Offset(_slot(field)) for field in (_MODEL_FIELDS, _MODEL_FIELDS + 1)):
        raise ModelFileError("it keeps weights in other files: a model is one file")
    return model


def _metadata(model: Table) -> dict[str, int]:
    """Numbers of the buffers of a model's metadata, by name."""
    start, count = _vector(model, _METADATA, 4)
    entries = {}
    for at in range(start, start + 4 * count, 4):
        entry = Table(model.Bytes, _target(model, at))
        if field := entry.Offset(_slot(_METADATA_NAME)):
            name = entry.String(entry.Pos + field).decode()
            entries[name] = entry.GetSlot(_slot(_METADATA_BUFFER), 0, Uint32Flags)
    return entries


def _buffers(model: Table) -> range:
    """Places of the references to a model's buffers."""
    start, count = _vector(model, _BUFFERS, 4)
    return range(start, start + 4 * count, 4)


def _data_of_buffer(model: Table, number: int) -> slice:
    """Where a buffer's bytes are in the file."""
    buffer = Table(model.Bytes, _target(model, _buffers(model)[number]))
    start, count = _vector(buffer, _BUFFER_DATA, 1)
    return slice(start, start + count)


def _vector(table: Table, field: int, width: int) -> tuple[int, int]:
    """Where a vector's elements begin, and their number: none if the field is not there."""
    offset = table.Offset(_slot(field))
    if not offset:
        return 0, 0
    start, count = table.Vector(offset), table.VectorLen(offset)
    if start + width * count > len(table.Bytes):
        raise ValueError(f"a vector of {count} elements reaches beyond its end")
    return start, count


def _target(table: Table, at: int) -> int:
    """Where the reference at a place in the file leads to."""
    target = table.Indirect(at)
    if target >= len(table.Bytes):
        raise ValueError(f"the reference at byte {at} leads beyond its end")
    return target


def _slot(field: int) -> int:
    """Place of a field in a table's vtable, which begins with two lengths."""
    return 4 + 2 * field


def _checksum(content: bytes | bytearray, place: slice) -> bytes:
    whole = memoryview(content)
    digest = hashlib.sha256(whole[: place.start])
    digest.update(bytes(place.stop - place.start))
    digest.update(whole[place.stop :])
    return digest.digest()


def _with_entries(content: bytes, new: Mapping[str, bytes]) -> bytearray:
    """A file with further metadata, before the content as it is."""
    model = _root(content)
    old = content + bytes(-len(content) % _ALIGNMENT)
    builder = flatbuffers.Builder(len(old) + sum(map(len, new.values())) + (1 << 16))
    # A builder fills its memory from the end and counts from there.
    builder.head -= len(old)
    builder.Bytes[builder.head :] = old
    builder.Prep(_ALIGNMENT, 0)
    buffers = [len(old) - position for position in _positions_of_buffers(model)]
    entries = {name: number for name, number in _metadata(model).items() if name not in new}
    for name, data in new.items():
        entries[name] = len(buffers)
        buffers.append(_add_buffer(builder, data))
    tables = [_add_metadata(builder, name, number) for name, number in entries.items()]
    references = {
        field: len(old) - _target(model, model.Pos + offset)
        for field in range(_VERSION + 1, _MODEL_FIELDS)
        if (offset := model.Offset(_slot(field)))
    }
    references[_BUFFERS] = _add_vector(builder, buffers)
    references[_METADATA] = _add_vector(builder, tables)
    builder.StartObject(_MODEL_FIELDS)
    builder.PrependUint32Slot(_VERSION, model.GetSlot(_slot(_VERSION), 0, Uint32Flags), 0)
    for field, reference in references.items():
        builder.PrependUOffsetTRelativeSlot(field, reference, 0)
    builder.Finish(builder.EndObject(), IDENTIFIER)
    return builder.Output()


def _positions_of_buffers(model: Table) -> list[int]:
    positions = [_target(model, at) for at in _buffers(model)]
    for position in positions:
        # A place in the file that is not relative: only files above 2 GB have such.
        if Table(model.Bytes, position).GetSlot(_slot(_BUFFER_OFFSET), 0, Uint64Flags) > 1:
            raise ModelFileError("it keeps weights outside of its flatbuffer, as huge models do")
    return positions


def _add_buffer(builder: flatbuffers.Builder, data: bytes) -> int:
    builder.StartVector(1, len(data), _ALIGNMENT)
    builder.head -= len(data)
    builder.Bytes[builder.head : builder.head + len(data)] = data
    vector = builder.EndVector()
    builder.StartObject(_BUFFER_DATA + 1)
    builder.PrependUOffsetTRelativeSlot(_BUFFER_DATA, vector, 0)
    return builder.EndObject()


def _add_metadata(builder: flatbuffers.Builder, name: str, number: int) -> int:
    text = builder.CreateString(name)
    builder.StartObject(_METADATA_BUFFER + 1)
    builder.PrependUOffsetTRelativeSlot(_METADATA_NAME, text, 0)
    builder.PrependUint32Slot(_METADATA_BUFFER, number, 0)
    return builder.EndObject()


def _add_vector(builder: flatbuffers.Builder, references: list[int]) -> int:
    builder.StartVector(4, len(references), 4)
    for reference in reversed(references):
        builder.PrependUOffsetTRelative(reference)
    return builder.EndVector()
