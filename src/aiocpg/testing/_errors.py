"""The one error of the test clusters. Wrong arguments are ValueError, as everywhere."""

from __future__ import annotations

from ..errors import CPGError


class ClusterError(CPGError):
    """
    A test cluster cannot be had, or did not do what was asked.

    Attributes:
        reason: What was found.
        cure: What to do about it.
    """

    def __init__(self, reason: str, cure: str) -> None:
        super().__init__(reason, cure)
        self.reason = reason
        self.cure = cure

    def __str__(self) -> str:
        return f"{self.reason}: {self.cure}"
