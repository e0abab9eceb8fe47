"""
How members find out that they have read the same: by a question that has its place in the order.

Whoever reads it answers with the number of lines it had read since the question before, and with a digest of them. All
stand at the same place then, so all must answer the same. A view begins anew: its members share it from its start on.
After a merge plain CPG may lose messages of members that come back; that shows here, and in the next round no more.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from typing import Any
from uuid import uuid4

import aiocpg

from .sayings import Answer, Check


class Comparison:
    """What one member knows of the lines of one view."""

    def __init__(self) -> None:
        self._number = 0
        self._count = 0
        self._digest = hashlib.blake2b(digest_size=4)
        self._question = ""
        self._asked: tuple[aiocpg.Address, ...] = ()
        self._answers: dict[aiocpg.Address, Answer] = {}

    def read(self, line: str) -> int:
        """Take the next line. Returns its number in the view."""
        self._number += 1
        self._count += 1
        self._digest.update(line.encode(errors="surrogatepass") + b"\0")
        return self._number

    def question(self) -> Check | None:
        """Return a new question, if there is anything to compare."""
        return Check(uuid4().hex[:8]) if self._count else None

    def begin(self, token: str, members: Iterable[aiocpg.Address]) -> Answer:
        """Take a question that was read, and return the answer to it."""
        answer = Answer(token, self._count, self._digest.hexdigest())
        self._question, self._asked, self._answers = token, tuple(members), {}
        self._count, self._digest = 0, hashlib.blake2b(digest_size=4)
        return answer

    def answer(self, sender: aiocpg.Address, answer: Answer) -> None:
        """Take an answer that was read; one to an older question is late and says nothing any more."""
        if answer.token == self._question and sender in self._asked:
            self._answers[sender] = answer

    def shown(self, called: Callable[[aiocpg.Address], str]) -> dict[str, Any] | None:
        """Return the last question with its answers; None where there was none in this view."""
        if not self._question:
            return None
        answers = self._answers
        return {
            "count": next((answer.count for answer in answers.values()), 0),
            "same": len({(answer.count, answer.digest) for answer in answers.values()}) <= 1,
            "missing": [called(who) for who in self._asked if who not in answers],
            "answers": [
                {"name": called(who), "count": answer.count, "digest": answer.digest}
                for who, answer in sorted(answers.items())
            ],
        }
