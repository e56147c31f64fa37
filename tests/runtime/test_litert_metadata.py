"""Properties in LiteRT files: there and back, readable by others, harmless to what was there."""

from __future__ import annotations

import hashlib
import random
import struct
from contextlib import suppress

import flatbuffers
import pytest
from ai_edge_litert import schema_py_generated as schema

from ser_runtime.errors import ModelFileError
from ser_runtime.litert_metadata import read_litert_metadata
from ser_runtime.litert_metadata import write_litert_metadata
from ser_runtime.model_metadata import ModelMetadata

PROPERTIES = {"ser_edge.name": '"cnn"', "ser_edge.note": '"ä\\n"', "empty": ""}


def litert_file(entries: dict[str, bytes] | None = None, **fields: object) -> bytes:
    """A LiteRT file without a graph, with metadata entries, by the classes of its schema."""
    model = schema.ModelT()
    model.version, model.description, model.buffers = 3, "made up", [schema.BufferT()]
    if entries:
        model.metadata = []
    for name, data in (entries or {}).items():
        entry, buffer = schema.MetadataT(), schema.BufferT()
        entry.name, entry.buffer, buffer.data = name, len(model.buffers), list(data)
        model.metadata.append(entry)
        model.buffers.append(buffer)
    for field, value in fields.items():
        assert hasattr(model, field)
        setattr(model, field, value)
    builder = flatbuffers.Builder()
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def entries_of(content: bytes) -> dict[str, bytes]:
    """Metadata as others read them."""
    model = schema.Model.GetRootAs(content, 0)
    entries = (model.Metadata(i) for i in range(model.MetadataLength()))
    return {
        entry.Name().decode(): model.Buffers(entry.Buffer()).DataAsNumpy().tobytes()
        for entry in entries
    }


@pytest.mark.parametrize("properties", [{}, {"": ""}, PROPERTIES])
@pytest.mark.parametrize("entries", [None, {"min_runtime_version": b"1.14.0"}])
def test_properties_come_back(properties: dict[str, str], entries: dict[str, bytes] | None) -> None:
    assert read_litert_metadata(write_litert_metadata(litert_file(entries), properties)) == (
        properties
    )


def test_metadata_come_back(metadata: ModelMetadata) -> None:
    content = write_litert_metadata(litert_file(), metadata.to_properties())
    back = ModelMetadata.from_properties(read_litert_metadata(content))
    assert back.to_properties() == metadata.to_properties()


def test_others_find_them_as_json_in_an_entry_of_their_name() -> None:
    found = entries_of(write_litert_metadata(litert_file(), {"ser_edge.name": '"cnn"'}))
    assert found["ser_edge"] == b'{"ser_edge.name": "\\"cnn\\""}'
    assert list(found) == ["ser_edge", "ser_edge_sha256"]


def test_what_was_there_stays() -> None:
    content = litert_file({"min_runtime_version": b"1.14.0", "other": b"\x00\xff"})
    stamped = write_litert_metadata(content, PROPERTIES)
    # References within a flatbuffer are relative, so that the old content is there as it was.
    assert content in stamped
    found = entries_of(stamped)
    assert found["min_runtime_version"] == b"1.14.0"
    assert found["other"] == b"\x00\xff"
    model = schema.Model.GetRootAs(stamped, 0)
    assert (model.Version(), model.Description()) == (3, b"made up")


@pytest.mark.parametrize("more", range(17))
def test_weights_keep_their_alignment(more: int) -> None:
    content = litert_file({"other": b"w" * 64}) + bytes(more)
    stamped = write_litert_metadata(content, PROPERTIES)
    assert (stamped.index(b"w" * 64) - content.index(b"w" * 64)) % 16 == 0
    model = schema.Model.GetRootAs(stamped, 0)
    data = model.Buffers(model.BuffersLength() - 2).DataAsNumpy().tobytes()
    assert stamped.index(data) % 16 == 0


def test_new_properties_replace_the_old_ones() -> None:
    once = write_litert_metadata(litert_file({"other": b"kept"}), {"a": "old"})
    twice = write_litert_metadata(once, {"b": "new"})
    assert read_litert_metadata(twice) == {"b": "new"}
    assert list(entries_of(twice)) == ["other", "ser_edge", "ser_edge_sha256"]


@pytest.mark.parametrize("entries", [None, {"min_runtime_version": b"1.14.0"}])
def test_a_file_of_others_has_none(entries: dict[str, bytes] | None) -> None:
    assert read_litert_metadata(litert_file(entries)) == {}


@pytest.mark.parametrize(
    "content",
    [b"", b"TFL3", b"TFL3" * 100, b"\x08\0\0\0TFL2" + bytes(100), b"\x08\0\0\0TFL3", bytes(99)],
)
def test_content_that_is_no_litert_file_is_refused(content: bytes) -> None:
    with pytest.raises(ModelFileError, match="damaged LiteRT file"):
        read_litert_metadata(content)
    with pytest.raises(ModelFileError, match="damaged LiteRT file"):
        write_litert_metadata(content, PROPERTIES)


def test_every_changed_byte_is_noticed() -> None:
    stamped = write_litert_metadata(litert_file({"other": b"w" * 64}), PROPERTIES)
    unnoticed = []
    for place in range(len(stamped)):
        changed = bytearray(stamped)
        changed[place] ^= 0x41
        try:
            # The name of an entry may be hit: then there are none.
            unnoticed += [place] if read_litert_metadata(bytes(changed)) else []
        except ModelFileError:
            continue
    assert unnoticed == []


def test_a_cut_or_lengthened_file_is_noticed() -> None:
    stamped = write_litert_metadata(litert_file({"other": b"w" * 64}), PROPERTIES)
    for content in (*(stamped[:length] for length in range(len(stamped))), stamped + b"\0"):
        with pytest.raises(ModelFileError):
            read_litert_metadata(content)


def test_references_that_lead_anywhere_end_in_the_one_error() -> None:
    content = litert_file({"min_runtime_version": b"1.14.0", "ser_edge": b"{}"})
    places = [0, *range(8, len(content) - 4, 2)]
    rng = random.Random(0)
    for _ in range(3000):
        hostile = bytearray(content)
        value = rng.choice((0, 1, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, rng.getrandbits(32)))
        struct.pack_into("<I", hostile, rng.choice(places), value)
        with suppress(ModelFileError):
            read_litert_metadata(bytes(hostile))
        with suppress(ModelFileError):
            write_litert_metadata(bytes(hostile), PROPERTIES)


@pytest.mark.parametrize(
    ("text", "named"),
    [
        (b'{"a": "b"}', None),
        (b"", "Expecting value"),
        (b"{", "Expecting"),
        (b"\xff", "decode"),
        (b"[" * 100_000, "recursion"),
        (b"[]", "JSON object of strings"),
        (b'{"a": 1}', "JSON object of strings"),
    ],
)
def test_an_entry_that_is_no_object_of_strings_is_refused(text: bytes, named: str | None) -> None:
    marker = b"#" * 32
    content = litert_file({"ser_edge": text, "ser_edge_sha256": marker})
    digest = hashlib.sha256(content.replace(marker, bytes(32))).digest()
    content = content.replace(marker, digest)
    if named is None:
        assert read_litert_metadata(content) == {"a": "b"}
    else:
        with pytest.raises(ModelFileError, match=f"damaged LiteRT file.*{named}"):
            read_litert_metadata(content)


def test_properties_without_a_checksum_are_refused() -> None:
    with pytest.raises(ModelFileError, match="checksum"):
        read_litert_metadata(litert_file({"ser_edge": b"{}"}))


@pytest.mark.parametrize("field", ["externalBufferGroups", "externalBuffers"])
def test_a_file_with_weights_in_other_files_is_refused(field: str) -> None:
    content = litert_file(**{field: []})
    for use in (read_litert_metadata, lambda given: write_litert_metadata(given, PROPERTIES)):
        with pytest.raises(ModelFileError, match="other files"):
            use(content)


def test_weights_at_a_place_in_the_file_that_is_not_relative_are_refused() -> None:
    buffer = schema.BufferT()
    buffer.offset, buffer.size = 4096, 16
    with pytest.raises(ModelFileError, match="outside of its flatbuffer"):
        write_litert_metadata(litert_file(buffers=[buffer]), PROPERTIES)
