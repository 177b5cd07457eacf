"""Records of a topic as bytes: what their header says, and the same record with something changed (schemas/record.proto).

    record = RawRecord.parse(records(message.value())[0])
    record.kind, record.origin, record.sequence ...
    record.changed(origin=b"elsewhere").encode()     # sound: with the checksum, the previous number and the vector that belong to it
"""

import ctypes
import struct

TRANSACTION, HEARTBEAT, ANNOUNCEMENT = 1, 2, 3

_VARINT, _FIXED64, _BYTES = 0, 1, 2
_PACK = b"\x08\x03"  # protocol 3
# Field numbers and wire types of Header.
_FIELDS = {
    "kind": (1, _VARINT), "group": (2, _BYTES), "origin": (3, _BYTES), "set": (4, _BYTES), "rank": (5, _VARINT),
    "policy_hash": (6, _FIXED64), "incarnation": (7, _FIXED64), "writer_epoch": (8, _VARINT), "sequence": (9, _VARINT),
    "previous_sequence": (10, _VARINT), "commit_lsn": (11, _VARINT), "commit_time": (12, _FIXED64), "xid": (13, _VARINT),
    "chunk": (14, _VARINT), "last": (15, _VARINT), "fragment": (16, _VARINT), "fragments": (17, _VARINT),
    "through_lsn": (18, _VARINT), "sent_at": (19, _FIXED64), "vector": (20, _BYTES),
    "closed_time": (21, _FIXED64)}


class RawRecord:
    def __init__(self, protocol, header, body):
        """header: {field number: value}; fields that are absent are zero."""
        self.protocol, self.header, self.body = protocol, header, body

    @classmethod
    def parse(cls, data):
        envelope = _parse(data)
        return cls(envelope[1], _parse(envelope[2]), envelope.get(3, b""))

    def __getattr__(self, name):
        if name not in _FIELDS:
            raise AttributeError(name)
        number, kind = _FIELDS[name]
        return self.header.get(number, b"" if kind == _BYTES else 0)

    def changed(self, protocol=None, body=None, **fields):
        if "sequence" in fields:
            fields.setdefault("previous_sequence", fields["sequence"] - 1)
        header = {**self.header, **{_FIELDS[name][0]: value for name, value in fields.items()}}
        if self.vector:
            header[_FIELDS["vector"][0]] = _with_own_entry(self.vector, self.rank, RawRecord(self.protocol, header, b""))
        return RawRecord(self.protocol if protocol is None else protocol, header, self.body if body is None else body)

    def encode(self):
        kinds = {number: kind for number, kind in _FIELDS.values()}
        header = b"".join(_field(number, kinds[number], self.header[number])
                          for number in sorted(self.header) if self.header[number])
        envelope = _field(1, _VARINT, self.protocol) + _field(2, _BYTES, header)
        if self.body:
            envelope += _field(3, _BYTES, self.body)
        return envelope + _field(4, _FIXED64, _xxh3(header + self.body))


def records(data):
    """The bytes of each record of a message: a pack holds several."""
    return [value for number, value in _fields(data) if number == 2] if data[:2] == _PACK else [data]


def packed(kept):
    """A message of these records."""
    return kept[0] if len(kept) == 1 else _PACK + b"".join(_field(2, _BYTES, record) for record in kept)


def transactions(messages):
    """The records of transactions in these messages."""
    parsed = (RawRecord.parse(record) for message in messages for record in records(message.value()))
    return [record for record in parsed if record.kind == TRANSACTION]


def _with_own_entry(vector, old_rank, record):
    """The vector (repeated VectorEntry) whose entry of the origin is this transaction."""
    entries = {entry.get(1, 0): entry for entry in (_parse(value) for _, value in _fields(vector))}
    entries.pop(old_rank, None)
    entries[record.rank] = {1: record.rank, 2: record.incarnation, 3: record.sequence, 4: record.commit_lsn, 5: record.commit_time}
    kinds = {1: _VARINT, 2: _FIXED64, 3: _VARINT, 4: _VARINT, 5: _FIXED64}
    return b"".join(
        _field(1, _BYTES, b"".join(_field(number, kinds[number], value) for number, value in sorted(entry.items()) if value))
        for _, entry in sorted(entries.items()))


def _parse(data):
    return dict(_fields(data))


def _fields(data):
    """(number, value) of each field, repeated ones each."""
    place = 0
    while place < len(data):
        tag, place = _varint(data, place)
        if tag & 7 == _VARINT:
            value, place = _varint(data, place)
        elif tag & 7 == _FIXED64:
            value, place = struct.unpack_from("<Q", data, place)[0], place + 8
        else:
            length, place = _varint(data, place)
            value, place = data[place:place + length], place + length
        yield tag >> 3, value


def _varint(data, place):
    value = shift = 0
    while True:
        byte = data[place]
        value |= (byte & 0x7F) << shift
        place, shift = place + 1, shift + 7
        if byte < 0x80:
            return value, place


def _field(number, kind, value):
    tag = bytes([number << 3 | kind]) if number < 16 else bytes([(number << 3 | kind) & 0x7F | 0x80, number >> 4])
    if kind == _FIXED64:
        return tag + struct.pack("<Q", value)
    if kind == _VARINT:
        return tag + _as_varint(value)
    return tag + _as_varint(len(value)) + value


def _as_varint(value):
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes(out + bytes([value]))


def _xxh3(data):
    library = ctypes.CDLL("libxxhash.so.0")
    library.XXH3_64bits.restype = ctypes.c_uint64
    library.XXH3_64bits.argtypes = [ctypes.c_char_p, ctypes.c_size_t]
    return library.XXH3_64bits(data, len(data))
