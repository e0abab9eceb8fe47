"""One history by itself: numbers count, messages were sent, each sender's are in order, one's own came back. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from aiocpg import Address, Reason
from faults.walk.pairs import Violation
from faults.walk.records import Delivery, History, Ring, Seen
from faults.walk.stays import Changed, Stay

Known = Mapping[int, History]
"""All memberships of a walk, by incarnation."""


def check(history: History, own: Sequence[Stay], known: Known) -> None:
    """
    Check one history.

    Raises:
        Violation: It cannot be true, whatever others have seen.
    """
    if not own:
        return  # it was lost before it had seen anything
    _check_rings(history, own)
    for delivery in _deliveries(history):
        _check_sent(history, delivery, known)
    _check_senders(history, own)
    _check_self(history)
    _check_receipts(history)


def check_counting(histories: Iterable[History]) -> None:
    """Check that positions and views count from 1, and that each message names the view it stands in."""
    for history in histories:
        _check_counting(history)


def check_nodes(histories: Iterable[History]) -> None:
    """Check that no member has a message that an earlier one on its node had, or that stands before such a one."""
    last: dict[tuple[int, int], int] = {}
    for history in sorted(histories, key=lambda history: history.incarnation):
        for delivery in _deliveries(history):
            key = history.me.nodeid, delivery.incarnation
            if delivery.number <= last.get(key, -1):
                raise Violation(f"{history}: {delivery} after number {last[key]} on its node")
            last[key] = delivery.number


def _deliveries(history: History) -> Iterable[Delivery]:
    return (record for record in history.records if isinstance(record, Delivery))


def _check_counting(history: History) -> None:
    position = view = 0
    for record in history.records:
        if isinstance(record, Delivery):
            position += 1
            if (record.position, record.view) != (position, view):
                raise Violation(f"{history}: {record} is message {position}, in view {view}")
        elif isinstance(record, Seen):
            view += 1
            if (record.number, record.position) != (view, position):
                raise Violation(f"{history}: {record} is view {view}, behind message {position}")


def _check_rings(history: History, own: Sequence[Stay]) -> None:
    """Rings grow, have us on them, and are what the views on them say; a member begins with its own join."""
    ring: Ring | None = None
    for record in history.records:
        if isinstance(record, Ring):
            if ring is not None and record.ring_id.seq <= ring.ring_id.seq:
                raise Violation(f"{history}: {record} after {ring}")
            if history.me.nodeid not in record.nodes:
                raise Violation(f"{history} is not on its own ring, {record}")
            ring = record
        elif isinstance(record, Seen) and (ring is None or record.ring_id != ring.ring_id):
            raise Violation(f"{history}: {record} on {ring}")
    first = own[0].items[:1]
    members = first[0].members if first and isinstance(first[0], Changed) else ()
    if first != [Changed(history.me, Reason.JOIN, members)]:
        raise Violation(f"{history} begins with {first}")


def _check_sent(history: History, delivery: Delivery, known: Known) -> None:
    sender = known.get(delivery.incarnation)
    if sender is None or sender.me != delivery.sender or not 0 <= delivery.number < len(sender.sent):
        raise Violation(f"{history} has a message that nobody sent: {delivery}")
    if sender.sent[delivery.number] != delivery.content:
        raise Violation(f"{history}: {delivery} was sent as {sender.sent[delivery.number]}")


def _check_senders(history: History, own: Sequence[Stay]) -> None:
    """Each sender's messages come once, in its order, and without a hole unless it was away in between."""
    last: dict[int, int] = {}
    place: dict[int, int] = {}
    joined: dict[Address, int] = {history.me: 0}
    for index, stay in enumerate(own):
        for item in stay.items:
            if isinstance(item, Changed):
                joined[item.address] = index
                continue
            # Who has seen the sender come has its first message; who came later, or from elsewhere, any.
            before = last.get(item.incarnation, -1)
            since = place.get(item.incarnation, joined.get(item.sender, index))
            known = item.incarnation in last or item.sender in joined
            whole = known and not any(item.node in later.newcomers for later in own[since + 1 : index + 1])
            if item.number <= before or (whole and item.number != before + 1):
                raise Violation(f"{stay}: {item} after number {before}")
            last[item.incarnation], place[item.incarnation] = item.number, index


def _check_self(history: History) -> None:
    """Our own messages came back, all that were taken unless the membership was lost."""
    own = [delivery.number for delivery in _deliveries(history) if delivery.incarnation == history.incarnation]
    if own != list(range(len(own))):
        raise Violation(f"{history}: own messages came back as {own[:20]}...")
    if history.end in ("left", "here") and len(own) < history.taken:
        raise Violation(f"{history}: {history.taken} messages were taken, {len(own)} came back")


def _check_receipts(history: History) -> None:
    own = {d.number: d for d in _deliveries(history) if d.incarnation == history.incarnation}
    for receipt in history.receipts:
        delivery = own.get(receipt.number)
        if delivery is None or (delivery.position, delivery.view) != (receipt.position, receipt.view):
            raise Violation(f"{history}: {receipt} for {delivery}")
