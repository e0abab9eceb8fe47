"""Whose frames are looked at next."""

from __future__ import annotations

import asyncio

import pytest

from aiocpg.engine.local.broker._turns import Turns

pytestmark = [pytest.mark.anyio, pytest.mark.parametrize("anyio_backend", ["asyncio"])]


class Talker:
    """Has so many steps to go."""

    def __init__(self, name: str, steps: int, told: list[str]) -> None:
        self.is_waiting = False
        self._name = name
        self._steps = steps
        self._told = told

    def step(self) -> bool:
        """One less."""
        self._told.append(self._name)
        self._steps -= 1
        return self._steps > 0

    def regulate(self) -> None:
        """Say whether it waits."""
        self._told.append(f"{self._name}{'-' if self.is_waiting else '+'}")


async def test_who_has_little_is_served_at_once() -> None:
    """And waits for nobody, where nobody waits."""
    told: list[str] = []
    Turns(0).come(Talker("a", 1, told))
    assert told == ["a"]


async def test_each_has_a_step_before_anybody_has_another() -> None:
    """One that comes meanwhile, and one that comes twice, too; in between the loop goes round."""
    told: list[str] = []
    turns = Turns(0)
    first = Talker("a", 3, told)
    turns.come(first)
    turns.come(Talker("b", 2, told))
    turns.wait(first)
    assert told == ["a", "a-", "b-"]
    await asyncio.sleep(0)
    assert told == ["a", "a-", "b-", "a"]
    for _ in range(4):
        await asyncio.sleep(0)
    assert told[4:] == ["b", "a", "a+", "b", "b+"]


async def test_turns_go_on_for_a_while_before_the_loop_has_its_own() -> None:
    """It costs more than one of them."""
    told: list[str] = []
    turns = Turns(30)
    for name in "ab":
        turns.come(Talker(name, 3, told))
    await asyncio.sleep(0)
    assert "".join(told) == "aa-b-abaa+bbb+"
