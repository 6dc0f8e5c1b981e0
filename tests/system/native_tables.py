"""The FlatBuffers of the native protocol for its tests' client: tables from and to bytes, batches of records built
and taken apart, with the checks of src/storage/FORMAT.md §6 in a code of their own."""
import functools
import hashlib
import importlib
import re
import struct
import subprocess
import sys
from collections import namedtuple
from types import SimpleNamespace

import harness

ERRORS = {int(number): name for name, number in re.findall(
    r"PENSTOCK_ERROR\((\w+), (\d+)", (harness.ROOT / "include/penstock/errors.def").read_text())}
BATCH = struct.Struct("<IIQqQIIIBBHIIII")  # src/storage/format.h, BatchHeader
BATCH_MAGIC = 0x48435450
ENTRY = struct.Struct("<IIIHHQQ")  # penstock.fbs, RecordEntry

StoredBatch = namedtuple("StoredBatch", "first arrival producer epoch sequence records flatbuffer header")
Record = namedtuple("Record", "index arrival key data hash flags")


def padded(data):
    return data + bytes(-len(data) % 8)


def schema():
    return harness.ROOT / "src/proto/penstock.fbs"


@functools.cache
def _generate():
    """Makes `penstock.proto` of the schema importable."""
    folder = harness.WORK / "flatbuffers" / schema().stem
    with harness.locked("flatbuffers"):
        subprocess.run(["flatc", "--python", "--gen-object-api", "-o", folder, schema()], check=True)
    sys.path.insert(0, str(folder))


def generated(name, suffix=""):
    _generate()
    return getattr(importlib.import_module(f"penstock.proto.{name}"), name + suffix)


def value(name, /, **fields):
    """A table or struct as a generated object; `from_` stands for `from`."""
    made = generated(name, "T")()
    for field, content in fields.items():
        field = re.sub(r"_(\w)", lambda match: match[1].upper(), field)
        assert hasattr(made, field), (name, field)
        setattr(made, field, content)
    return made


def plain(made):
    """A generated object with the names of penstock.fbs."""
    if isinstance(made, list):
        return [plain(element) for element in made]
    if isinstance(made, bytes):
        return made.decode()
    if not hasattr(made, "__dict__"):
        return made
    return SimpleNamespace(**{re.sub(r"[A-Z]", lambda match: "_" + match[0].lower(), field): plain(content)
                              for field, content in vars(made).items()})


def table(name, /, **fields):
    import flatbuffers
    builder = flatbuffers.Builder(256)
    builder.Finish(value(name, **fields).Pack(builder))
    return padded(bytes(builder.Output()))


def position(kind, index=0, time_ms=0):
    return value("Position", from_=getattr(generated("From"), kind), index=index, time_ms=time_ms)


def hash_of(key):
    return int.from_bytes(hashlib.md5(key).digest(), "big")


def batch(records, entries=None):
    """The FlatBuffer of (key, data) or (key, data, explicit hash) records; `entries` in place of the right ones."""
    import flatbuffers
    rows, content = [], bytearray()
    for key, data, *explicit in records:
        hashed = explicit[0] if explicit else hash_of(key)
        rows.append((len(content), len(content) + len(key), len(data), len(key), int(bool(explicit)),
                     hashed >> 64, hashed & (1 << 64) - 1))
        content += key + data
    packed = b"".join(ENTRY.pack(*row) for row in (rows if entries is None else entries))
    builder = flatbuffers.Builder(len(content) + len(packed) + 256)
    held = builder.CreateByteVector(bytes(content))
    builder.StartVector(ENTRY.size, len(packed) // ENTRY.size, 8)
    builder.head -= len(packed)
    builder.Bytes[builder.head:builder.head + len(packed)] = packed
    listed = builder.EndVector()
    _generate()
    module = importlib.import_module("penstock.proto.Batch")
    module.BatchStart(builder)
    module.BatchAddRecords(builder, listed)
    module.BatchAddBytes(builder, held)
    builder.Finish(module.BatchEnd(builder))
    return bytes(builder.Output())


def _vector(flatbuffer, root, field, width):
    from flatbuffers import number_types
    at = root._tab.Offset(field)
    if not at:
        return b""
    at = number_types.UOffsetTFlags.py_type(at)
    begin = root._tab.Vector(at)
    return flatbuffer[begin:begin + width * root._tab.VectorLen(at)]


_CRC = [0] * 256
for _byte in range(256):
    _entry = _byte
    for _bit in range(8):
        _entry = _entry >> 1 ^ (0x82F63B78 if _entry & 1 else 0)
    _CRC[_byte] = _entry


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc = crc >> 8 ^ _CRC[(crc ^ byte) & 255]
    return crc ^ 0xFFFFFFFF


def stored_batches(attachment):
    """The batches of a Delivery or Got, each verified as src/storage/FORMAT.md §6 says."""
    found, at = [], 0
    while at < len(attachment):
        header = attachment[at:at + BATCH.size]
        (magic, length, first, arrival, producer, epoch, sequence, count, codec, flags, reserved0, reserved1,
         payload_crc, _, header_crc) = BATCH.unpack(header)
        flatbuffer = attachment[at + BATCH.size:at + BATCH.size + length]
        assert len(flatbuffer) == length and length % 8 == 0 and 1 <= count <= 10_000, header.hex()
        assert (codec, flags, reserved0, reserved1) == (0, 0, 0, 0) and magic == BATCH_MAGIC, header.hex()
        assert crc32c(header[:60]) == header_crc, header.hex()
        if length <= 4096:  # slow in this language
            assert crc32c(flatbuffer) == payload_crc, header.hex()
        root = generated("Batch").GetRootAs(flatbuffer, 0)
        rows, content = _vector(flatbuffer, root, 4, ENTRY.size), _vector(flatbuffer, root, 6, 1)
        records, end = [], 0
        for index, (key_at, data_at, size, key_size, marks, high, low) in enumerate(ENTRY.iter_unpack(rows)):
            assert key_at == end and data_at == end + key_size, header.hex()
            end = data_at + size
            records.append(Record(first + index, arrival, content[key_at:data_at], content[data_at:end],
                                  high << 64 | low, marks))
        assert len(records) == count and end == len(content), header.hex()
        found.append(StoredBatch(first, arrival, producer, epoch, sequence, records, flatbuffer, header))
        at += BATCH.size + length
    return found


def meant(message):
    """The records of a Delivery or Got that it is about."""
    return [record for stored in stored_batches(message.attachment) for record in stored.records
            if message.table.from_ <= record.index < message.table.next]


def sequence_number(created_second, shard, index, arrival_ms):
    """The Kinesis sequence number of a record: what src/proto/kinesis.h calls version 2. Record i has the index i + 1
    there (docs/kinesis-compatibility.md): 0 is the shard's own beginning."""
    return str(2 | shard << 4 | arrival_ms // 1000 << 36 | index + 1 << 80 | (shard & 15) << 144
               | created_second << 148 | 2 << 184)
