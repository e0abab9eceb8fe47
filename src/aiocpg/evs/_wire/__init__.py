"""
The frames that endpoints of a domain exchange, as bytes. No I/O, and no idea of what they mean.

Little-endian, version 1; ``docs/reference/evs-wire.md`` has the tables. Nothing is trusted: what does not fit in every
field is a :class:`MalformedError`, and nothing has been done by then.
"""

from aiocpg.evs._wire.control import Answer, Evict, Query, encode_ack, encode_evict, encode_final
from aiocpg.evs._wire.data import Record, encode_body
from aiocpg.evs._wire.header import HEADER_SIZE, Header, MalformedError, Triple, identity
from aiocpg.evs._wire.parse import Body, parse

__all__ = [
    "HEADER_SIZE",
    "Answer",
    "Body",
    "Evict",
    "Header",
    "MalformedError",
    "Query",
    "Record",
    "Triple",
    "encode_ack",
    "encode_body",
    "encode_evict",
    "encode_final",
    "identity",
    "parse",
]
