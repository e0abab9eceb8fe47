"""Own messages on their way: the window, their return, and who is lost."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from aiocpg._state.sends import LARGE, LOW, OVERHEAD, WINDOW, SentMessages


def test_confirmation_comes_back_with_its_message() -> None:
    """And nothing is lost when all come back in order."""
    sent: SentMessages[str] = SentMessages()
    sent.sent(b"a", "A")
    sent.sent(b"b")
    assert sent.came_back(b"a") == ("A", [])
    assert sent.came_back(b"b") == (None, [])
    assert (len(sent), sent.bytes, sent.returned) == (0, 0, 2)


def test_messages_sent_before_one_that_came_back_are_lost() -> None:
    """Corosync keeps a sender's order."""
    sent: SentMessages[str] = SentMessages()
    for data, confirmation in ((b"a", "A"), (b"b", None), (b"c", "C"), (b"d", "D")):
        sent.sent(data, confirmation)
    assert sent.came_back(b"d") == ("D", ["A", "C"])
    assert (len(sent), sent.bytes, sent.returned) == (0, 0, 4)


def test_last_of_equal_messages_counts_as_lost() -> None:
    """Content tells them apart, and here it does not."""
    sent: SentMessages[str] = SentMessages()
    for data, confirmation in ((b"x", "first"), (b"x", "second"), (b"end", "end")):
        sent.sent(data, confirmation)
    assert sent.came_back(b"x") == ("first", [])
    assert sent.came_back(b"end") == ("end", ["second"])


def test_many_come_back_at_once_up_to_the_first_that_has_to_be_looked_at() -> None:
    """One with a confirmation, one that is not the next, one that is none of ours."""
    sent: SentMessages[str] = SentMessages()
    sent.sent_many([b"a", b"b"])
    sent.sent(b"c", "C")
    sent.sent_many([b"d", b"e"])
    assert sent.came_back_in_order([b"a", b"b", b"c"]) == 2
    assert (len(sent), sent.returned) == (3, 2)
    assert sent.came_back(b"c") == ("C", [])
    assert sent.came_back_in_order([b"e"]) == 0
    assert sent.came_back_in_order([b"d", b"e", b"f"]) == 2
    assert sent.came_back_in_order([]) == 0
    assert (len(sent), sent.bytes, sent.returned) == (0, 0, 5)


def test_window_that_was_full_opens_when_half_of_it_is_back() -> None:
    """For small messages; a large one goes as soon as it fits."""
    sent: SentMessages[str] = SentMessages()
    size = 1000
    while sent.has_room(size):
        sent.sent(bytes(size))
    full = len(sent)
    sent.came_back_in_order([bytes(size)] * 100)
    assert not sent.has_room(size)
    assert sent.has_room(LARGE)
    assert sent.room_for([bytes(size)], 0, 10) == 0
    sent.came_back_in_order([bytes(size)] * (full - 100 - LOW // (size + OVERHEAD) - 1))
    assert not sent.has_room(size)
    sent.came_back_in_order([bytes(size)])
    assert sent.has_room(size)
    sent.sent(bytes(size))
    assert sent.has_room(size)


def test_strange_message_changes_nothing() -> None:
    """Somebody sent past us on the same handle."""
    sent: SentMessages[str] = SentMessages()
    sent.sent(b"a", "A")
    assert sent.came_back(b"never sent") == (None, [])
    assert len(sent) == 1


def test_settling_hands_back_all_that_is_missing() -> None:
    """Nothing will come back any more."""
    sent: SentMessages[str] = SentMessages()
    for data, confirmation in ((b"a", "A"), (b"b", None), (b"c", "C")):
        sent.sent(data, confirmation)
    assert sent.settle() == ["A", "C"]
    assert sent.settle() == []
    assert sent.bytes == 0


def test_only_the_newest_message_can_be_withdrawn() -> None:
    """One that came back meanwhile is not there any more; an equal one that was sent is another."""
    sent: SentMessages[str] = SentMessages()
    data = bytearray(b"native")
    first, second = bytes(data), bytes(data)
    sent.expect(first, "A")
    assert not sent.withdraw(second)
    assert len(sent) == 1
    assert sent.withdraw(first)
    assert (len(sent), sent.bytes) == (0, 0)
    assert not sent.withdraw(first)


def test_window_counts_payload_and_overhead() -> None:
    """Up to 768 KiB, the last byte included."""
    sent: SentMessages[str] = SentMessages()
    sent.sent(bytes(WINDOW - 2 * OVERHEAD - 100))
    assert sent.has_room(100)
    assert not sent.has_room(101)


def test_message_larger_than_the_window_goes_alone() -> None:
    """Otherwise it could never go."""
    sent: SentMessages[str] = SentMessages()
    assert sent.has_room(2 * WINDOW)
    sent.sent(b"")
    assert not sent.has_room(2 * WINDOW)


@given(st.lists(st.integers(0, 3), max_size=4), st.lists(st.integers(0, 4), max_size=8), st.integers(1, 8))
def test_room_for_many_is_the_room_for_each(before: list[int], sizes: list[int], most: int) -> None:
    """A batch takes what single sends would have taken."""
    unit = WINDOW // 4 - OVERHEAD
    sent, one_by_one = SentMessages[str](), SentMessages[str]()
    for count in before:
        sent.sent(bytes(count * unit))
        one_by_one.sent(bytes(count * unit))
    batch = [bytes(size * unit) for size in sizes]
    count = 0
    while count < min(len(batch), most) and one_by_one.has_room(len(batch[count])):
        one_by_one.sent(batch[count])
        count += 1
    if batch:
        assert sent.room_for(batch, 0, most) == count


class AgainstAQueue(RuleBasedStateMachine):
    """A daemon that keeps order and drops some; the model knows which, by identity."""

    def __init__(self) -> None:
        super().__init__()
        self.sent: SentMessages[int] = SentMessages()
        self.queue: list[tuple[bytes, int]] = []
        self.count = 0
        self.fates: dict[int, str] = {}
        self.sizes = 0

    @rule(content=st.binary(max_size=8))
    def send(self, content: bytes) -> None:
        """Every message is another one here."""
        self.count += 1
        data = content + b"#%d" % self.count
        self.sent.sent(data, self.count)
        self.queue.append((data, self.count))

    @precondition(lambda self: self.queue)
    @rule(dropped=st.integers(0, 3))
    def deliver(self, dropped: int) -> None:
        """Some are dropped, the next comes back."""
        dropped = min(dropped, len(self.queue) - 1)
        gone, (data, number) = self.queue[:dropped], self.queue[dropped]
        del self.queue[: dropped + 1]
        assert self.sent.came_back(data) == (number, [lost for _, lost in gone])

    @rule()
    def settle(self) -> None:
        """The end."""
        assert self.sent.settle() == [number for _, number in self.queue]
        self.queue.clear()

    @invariant()
    def counts_agree(self) -> None:
        """Bytes, length and returns are those of the queue."""
        assert len(self.sent) == len(self.queue)
        assert self.sent.bytes == sum(len(data) + OVERHEAD for data, _ in self.queue)
        assert self.sent.returned == self.count - len(self.queue)


TestAgainstAQueue = AgainstAQueue.TestCase
