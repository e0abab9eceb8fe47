"""What became of a message: known once, told to all who ask, now or later."""

from __future__ import annotations

import anyio
import pytest

from aiocpg import MessageLostError, RingId
from aiocpg.evs import Receipt, RegularConfiguration, Ticket, TransitionalConfiguration
from support.running import PATIENCE, turns

pytestmark = pytest.mark.anyio

REGULAR = RegularConfiguration(1, RingId(1, 4), (1,), (), (), ())
TRANSITIONAL = TransitionalConfiguration(1, RingId(1, 4), (1,), (), (), (), verified=True)


async def test_delivered_waits_until_it_was() -> None:
    """Any number of tasks, and those who ask later."""
    ticket = Ticket()
    receipts: list[Receipt] = []

    async def ask() -> None:
        receipts.append(await ticket.delivered())

    with anyio.fail_after(PATIENCE):
        async with anyio.create_task_group() as tasks:
            for _ in range(3):
                tasks.start_soon(ask)
            await turns()
            assert (ticket.is_settled, receipts) == (False, [])
            assert repr(ticket) == "<Ticket under way>"
            Ticket.settle([ticket], 7, REGULAR)
    await ask()
    assert receipts == [Receipt(7, REGULAR)] * 4
    assert repr(ticket) == "<Ticket delivered>"


async def test_receipt_tells_in_which_kind_of_configuration() -> None:
    """That is what SAFE says."""
    for configuration, is_transitional in ((REGULAR, False), (TRANSITIONAL, True)):
        ticket = Ticket()
        Ticket.settle([ticket], 1, configuration)
        receipt = await ticket.delivered()
        assert receipt.transitional is is_transitional
        assert receipt.configuration is configuration


async def test_failure_is_raised_anew_to_each() -> None:
    """One object raised twice would show the trail of both."""
    ticket = Ticket()
    ticket.fail(MessageLostError(b"group"))
    errors = []
    for _ in range(2):
        with pytest.raises(MessageLostError) as caught:
            await ticket.delivered()
        errors.append(caught.value)
    assert errors[0] is not errors[1]
    assert ticket.is_settled
    assert repr(ticket) == "<Ticket lost>"


async def test_failure_wakes_who_waits() -> None:
    """As a delivery does."""
    ticket = Ticket()

    async def ask() -> None:
        with pytest.raises(MessageLostError):
            await ticket.delivered()

    with anyio.fail_after(PATIENCE):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(ask)
            await turns()
            ticket.fail(MessageLostError(b"group"))


async def test_failure_after_the_delivery_changes_nothing() -> None:
    """The first outcome counts."""
    ticket = Ticket()
    Ticket.settle([ticket], 3, REGULAR)
    ticket.fail(MessageLostError(b"group"))
    assert (await ticket.delivered()).position == 3


async def test_cancelled_wait_gives_up_nothing_but_the_waiting() -> None:
    """The ticket is as before."""
    ticket = Ticket()
    with anyio.move_on_after(0):
        await ticket.delivered()
    assert not ticket.is_settled
    Ticket.settle([ticket], 1, REGULAR)
    assert (await ticket.delivered()).position == 1
