"""The three standard descriptors, when the program is started without one of them."""

from __future__ import annotations

import os

_WRONG_WAY = ((0, os.O_WRONLY), (1, os.O_RDONLY), (2, os.O_RDONLY))


def hold_standard_descriptors() -> None:
    """
    Put /dev/null where a standard descriptor is closed, opened the wrong way round.

    Whatever is opened next would else take its number, and what is meant for a reader would be written into a socket of
    the engine's. The wrong way, because using it stays the error that it is.
    """
    for descriptor, way in _WRONG_WAY:
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, way)  # takes the lowest free number, which is this one
