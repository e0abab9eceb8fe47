"""What a page of the dashboard shows: events in, frames out."""

from __future__ import annotations

import math
from collections import deque

import pytest
from dashboard.board import Board, Outcome
from dashboard.comparing import Comparison
from dashboard.listing import KEPT, PATIENCE
from dashboard.sayings import MAX_ID, MAX_TEXT, Answer, Ask, Check, History, Line, Name, Saying, decoded, encoded

import aiocpg
from aiocpg import Address, Reason, RingId

ALICE, BOB, CAROL, DAVE = (Address(number, 11 * number) for number in range(1, 5))
ALL = (ALICE, BOB, CAROL)
FIRST, SECOND = RingId(1, 4), RingId(1, 8)

ENTRY = {"type": "entry", "kind": "line", "number": 1, "name": "bob", "text": "a", "id": "7", "at": 1000.5}

SAYINGS = [
    Line("hi", "7"),
    Name("bob"),
    Check("t"),
    Answer("t", 3, "ab"),
    Ask("t", "1:11"),
    History(
        "t",
        [
            ENTRY,
            {
                "type": "entry",
                "kind": "view",
                "ring": "1.4",
                "members": ["bob"],
                "joined": [["bob", "JOIN"]],
                "left": [],
            },
            {"type": "entry", "kind": "gap", "reason": "gone"},
        ],
        ["7"],
    ),
]


def view(*members: Address, ring: RingId = FIRST, joined: object = None, left: object = None) -> aiocpg.View:
    """Return a view; nobody came or went unless said."""
    return aiocpg.View(b"g", members, joined or {}, left or {}, ring, 1, 0)


class Reader:
    """A board and the clock beside it."""

    def __init__(self, me: Address = ALICE) -> None:
        self.me = me
        self.board = Board("alice", "g", "memory://x", has_network=False)

    def feed(self, event: aiocpg.Event, now: float = 1000.0) -> Outcome:
        return self.board.feed(event, self.me, now)

    def hear(self, sender: Address, saying: Saying | bytes, now: float = 1000.0) -> Outcome:
        data = saying if isinstance(saying, bytes) else encoded(saying)
        return self.feed(aiocpg.Message(b"g", sender, data, 1, view(*ALL)), now)


class Room:
    """Readers, and the one order of what they say."""

    def __init__(self, *present: Address) -> None:
        self.readers = {who: Reader(who) for who in present}
        self.order: deque[tuple[Address, Saying]] = deque()
        self.change()

    def change(self, joined: object = None, left: object = None) -> None:
        """Hand the view of those who are there to all; what it makes them say comes behind what is said already."""
        now = view(*sorted(self.readers), joined=joined, left=left)
        for who, reader in self.readers.items():
            self.order.extend((who, saying) for saying in reader.feed(now).replies)

    def come(self, who: Address) -> None:
        """Let one come, or come again with nothing in mind."""
        self.readers[who] = Reader(who)
        self.change(joined={who: Reason.JOIN})

    def go(self, who: Address) -> None:
        """Let one go; what it has said already comes all the same."""
        del self.readers[who]
        self.change(left={who: Reason.PROCDOWN})

    def step(self) -> None:
        """Let all read the next of what was said."""
        sender, saying = self.order.popleft()
        for who, reader in self.readers.items():
            self.order.extend((who, reply) for reply in reader.hear(sender, saying).replies)

    def run(self) -> None:
        """Let all read everything."""
        while self.order:
            self.step()

    def wait(self) -> None:
        """Let a few seconds pass."""
        for _ in range(PATIENCE + 1):
            for who, reader in self.readers.items():
                self.order.extend((who, saying) for saying in reader.board.questions() if isinstance(saying, Ask))

    def lines(self, who: Address) -> list[str]:
        """Return what a page of this one begins with."""
        return [entry["text"] for entry in self.readers[who].board.begin(0)["entries"] if entry["kind"] == "line"]


@pytest.fixture
def alice() -> Reader:
    """Alice, in a group of three on a ring of three."""
    reader = Reader()
    reader.feed(view(*ALL, joined={ALICE: Reason.JOIN}))
    reader.feed(aiocpg.RingChange(FIRST, (1, 2, 3)))
    return reader


@pytest.mark.parametrize("saying", SAYINGS)
def test_saying_comes_as_it_went(saying: Saying) -> None:
    """What one instance encodes, another decodes."""
    assert decoded(encoded(saying)) == saying


@pytest.mark.parametrize(
    "data",
    [
        b"plain",
        b"\xff\xfe",
        b"[1]",
        b'{"say": 3}',
        b'{"say": "name"}',
        b'{"say": "answer", "token": "t", "count": true, "digest": ""}',
        b'{"say": "line", "text": 1, "id": ""}',
        b'{"say": "history", "token": "t", "entries": {}, "ids": []}',
        b'{"say": "line", "text": "a", "id": "", "more": 1}',
        b"[" * 5000,
        b"9" * 5000,
        encoded(Check("t" * 1_000_000)),
        encoded(Answer("t", 2**53, "")),
        encoded(Ask("t", "1" * 1_000_000)),
        encoded(History("t", [1], [])),
        encoded(History("t", [{**ENTRY, "number": "1"}], [])),
        encoded(History("t", [{**ENTRY, "at": math.nan}], [])),
        encoded(History("t", [{**ENTRY, "more": 1}], [])),
        encoded(History("t", [{"type": "entry", "kind": "gap"}], [])),
        encoded(History("t", [], [[]])),
        encoded(History("t", [], ["7" * 1_000])),
    ],
)
def test_anything_else_is_a_line(data: bytes) -> None:
    """Other programs may be in the group, and say what they like."""
    saying = decoded(data)
    assert isinstance(saying, Line), saying
    assert saying == Line(data.decode(errors="replace")[:MAX_TEXT])


def test_long_line_is_cut() -> None:
    """A page shows so much of a line and no more."""
    assert decoded(encoded(Line("x" * 10_000, "7"))) == Line("x" * MAX_TEXT, "7")


def test_members_have_roles(alice: Reader) -> None:
    """The first of the view leads; names come by messages."""
    alice.hear(BOB, Name("bob"))
    members = alice.board.state()["members"]
    assert [(who["address"], who["name"], who["role"]) for who in members] == [
        ("1:11", "", "leader"),
        ("2:22", "bob", "follower"),
        ("3:33", "", "follower"),
    ]


def test_name_is_said_to_newcomers_only(alice: Reader) -> None:
    """Who comes asks nobody: all say their names when they read of it."""
    assert alice.feed(view(*ALL, joined={CAROL: Reason.JOIN})).replies == [Name("alice")]
    assert alice.feed(view(ALICE, BOB, left={CAROL: Reason.LEAVE})).replies == []


def test_member_that_went_is_shown_with_the_reason_until_it_is_back(alice: Reader) -> None:
    """A node that is cut off stands among those who have gone, under its name."""
    alice.hear(CAROL, Name("carol"))
    alice.feed(view(ALICE, BOB, ring=SECOND, left={CAROL: Reason.NODEDOWN}))
    assert alice.board.state()["gone"] == [{"address": "3:33", "node": 3, "name": "carol", "reason": "NODEDOWN"}]
    alice.feed(view(*ALL, joined={CAROL: Reason.NODEUP}))
    assert alice.board.state()["gone"] == []


def test_node_that_is_away_stays_known(alice: Reader) -> None:
    """The ring is what this node reaches; the nodes are all it has ever reached."""
    alice.feed(aiocpg.RingChange(SECOND, (1, 2)))
    state = alice.board.state()
    assert (state["ring"], state["nodes"]) == ({"id": "1.8", "nodes": [1, 2]}, [1, 2, 3])


def test_lost_daemon_is_a_gap(alice: Reader) -> None:
    """The list shows that something may be missing, the status that it is missing now, until the next view."""
    frames = alice.feed(aiocpg.Disconnected("gone")).frames
    assert [frame["type"] for frame in frames] == ["entry", "state"]
    assert frames[0]["kind"] == "gap"
    assert not alice.board.state()["connected"]
    alice.feed(view(ALICE, joined={ALICE: Reason.JOIN}))
    assert alice.board.state()["connected"]


def test_lines_are_numbered_in_their_view(alice: Reader) -> None:
    """All members of a view share its start, so they give each line the same number."""
    numbers = [alice.hear(BOB, Line(text)).frames[0]["number"] for text in "ab"]
    alice.feed(view(ALICE, BOB, left={CAROL: Reason.LEAVE}))
    numbers.append(alice.hear(BOB, Line("c")).frames[0]["number"])
    assert numbers == [1, 2, 1]


def test_line_sent_again_is_shown_once(alice: Reader) -> None:
    """Who does not know whether a line came may send it again, by another instance too."""
    assert len(alice.hear(BOB, Line("a", "7")).frames) == 1
    assert alice.hear(CAROL, Line("a", "7")).frames == []
    assert len(alice.hear(CAROL, Line("a")).frames) == len(alice.hear(CAROL, Line("a")).frames) == 1


def test_page_that_opens_later_begins_with_what_there_is(alice: Reader) -> None:
    """The beginning has the newest entries, the state and the lines of each second."""
    for number in range(KEPT + 7):
        alice.hear(BOB, Line(str(number)), now=1000 + number // 200)
    begin = alice.board.begin(now=1003.5)
    assert [entry["text"] for entry in begin["entries"]] == [str(number) for number in range(7, KEPT + 7)]
    assert begin["rates"] == [[1000, 200], [1001, KEPT + 7 - 200]]
    assert begin["state"] == alice.board.state()


def test_newcomer_gets_the_list_of_one_that_was_there() -> None:
    """What was read before it came, what came before its question and what came after: all of it, and once."""
    room = Room(ALICE, BOB)
    room.order.extend((BOB, Line(text, text)) for text in "ab")
    room.run()
    room.come(CAROL)
    room.order.appendleft((BOB, Line("c", "c")))  # between its coming and its question
    room.order.extend((BOB, Line(text, text)) for text in "dbc")  # behind its question, before the answer
    room.run()
    assert room.lines(ALICE) == room.lines(BOB) == room.lines(CAROL) == ["a", "b", "c", "d"]


def test_page_of_a_newcomer_begins_anew_with_the_list() -> None:
    """Pages that are open already are told."""
    carol = Reader(CAROL)
    ask = carol.feed(view(ALICE, CAROL, joined={CAROL: Reason.JOIN})).replies[-1]
    assert isinstance(ask, Ask)
    assert ask.who == "1:11"
    carol.hear(CAROL, ask)
    [begin] = carol.hear(ALICE, History(ask.token, [ENTRY], [])).frames
    assert (begin["type"], begin["entries"]) == ("begin", [ENTRY])


@pytest.mark.parametrize("silent", [False, True])
def test_another_is_asked_when_one_does_not_answer(*, silent: bool) -> None:
    """It may have gone before it read the question, or be no instance of this program."""
    room = Room(ALICE, BOB)
    room.order.append((BOB, Line("a")))
    room.run()
    room.come(CAROL)
    if silent:
        room.readers[ALICE].me = DAVE  # it does not know that it is meant
    else:
        room.go(ALICE)
    room.run()
    room.wait()
    room.run()
    assert room.readers[CAROL].board.is_caught_up
    assert room.lines(CAROL) == ["a"]


def test_newcomer_is_not_caught_up_before_it_has_the_list() -> None:
    """Nor does it answer others that ask, or lose what it shows already."""
    carol = Reader(CAROL)
    assert not carol.board.is_caught_up
    carol.feed(view(ALICE, CAROL, joined={CAROL: Reason.JOIN}))
    carol.hear(ALICE, Line("a"))
    assert not carol.board.is_caught_up
    assert carol.hear(DAVE, Ask("t", str(CAROL))).replies == []
    assert len(carol.board.begin(0)["entries"]) == 2


def test_newcomer_with_nobody_left_to_ask_goes_on_alone() -> None:
    """Two that came one after the other, and all who knew more are gone: the older one's list is what there is."""
    room = Room(ALICE)
    room.come(BOB)
    room.go(ALICE)
    room.come(CAROL)
    room.order.append((BOB, Line("a")))
    room.run()
    assert room.readers[CAROL].board.is_caught_up
    assert room.lines(BOB) == room.lines(CAROL) == ["a"]


def test_history_fits_into_a_message() -> None:
    """However long the lines are in bytes; the newest are in it."""
    reader = Reader()
    reader.feed(view(ALICE, joined={ALICE: Reason.JOIN}))
    for number in range(KEPT):
        reader.hear(BOB, Line("\N{GRINNING FACE}" * MAX_TEXT, f'{number:0>{MAX_ID - 1}}"'))
    [history] = reader.hear(BOB, Ask("t", str(ALICE))).replies
    assert isinstance(history, History)
    assert 100 < len(history.entries) < KEPT
    assert history.entries[-1]["id"] == history.ids[-1]
    assert len(encoded(history)) < 1_047_552


def test_only_a_leader_with_lines_asks(alice: Reader) -> None:
    """One question at a time, and none about nothing."""
    bob = Reader(BOB)
    bob.feed(view(*ALL))
    assert alice.board.questions() == []
    for reader in (alice, bob):
        reader.hear(CAROL, Line("a"))
    assert alice.board.questions() != []
    assert bob.board.questions() == []


def test_all_answer_the_same_at_a_question(alice: Reader) -> None:
    """Same lines in the same order come to the same digest; until all have answered, some are missing."""
    bob = Reader(BOB)
    bob.feed(view(*ALL))
    for reader in (alice, bob):
        for line in ("a", "b"):
            reader.hear(CAROL, Line(line))
    (hers,) = alice.hear(ALICE, Check("t")).replies
    (his,) = bob.hear(ALICE, Check("t")).replies
    assert hers == his
    for sender in (ALICE, BOB):
        alice.hear(sender, hers)
    check = alice.board.state()["check"]
    assert (check["count"], check["same"], check["missing"]) == (2, True, ["3:33"])


@pytest.mark.parametrize("lines", [["b", "a"], ["a"], ["a", "b", "b"], ["ab"]])
def test_difference_shows(lines: list[str]) -> None:
    """Another order, a line less, one twice: another answer."""
    one, other = Comparison(), Comparison()
    for line in ("a", "b"):
        one.read(line)
    for line in lines:
        other.read(line)
    answers = [comparison.begin("t", ALL) for comparison in (one, other)]
    for sender, answer in zip(ALL, answers, strict=False):
        one.answer(sender, answer)
    shown = one.shown(str)
    assert shown is not None
    assert not shown["same"]


def test_late_answer_says_nothing() -> None:
    """What belongs to an older question, or comes from a stranger, is not compared."""
    comparison = Comparison()
    comparison.begin("new", [ALICE])
    comparison.answer(ALICE, Answer("old", 9, ""))
    comparison.answer(BOB, Answer("new", 9, ""))
    assert comparison.shown(str) == {"count": 0, "same": True, "missing": ["1:11"], "answers": []}
