"""A parked thread is always found: whichever of the two looks second sees the other.

The rule: the race is played by hand. ``ready`` is called between the flag and the
wait, so an ``unpark`` in it is one that comes at the worst moment.
"""

from __future__ import annotations

import threading

import pytest

from async_task_pipeline._parking import Need, Parking


def tickets(parking: Parking) -> int:
    return parking._tickets.qsize()


@pytest.mark.parametrize("need", Need)
def test_what_is_ready_is_not_waited_for(need: Need) -> None:
    parking = Parking()
    parking.park(need, lambda: True)
    parking.unpark()
    assert tickets(parking) == 0


@pytest.mark.parametrize("need", Need)
@pytest.mark.parametrize("general", [False, True])
def test_an_unpark_between_the_look_and_the_wait_is_not_missed(need: Need, general: bool) -> None:
    parking = Parking()
    looks = []

    def ready() -> bool:
        looks.append(need)
        parking.unpark(None if general else need)
        return False

    parking.park(need, ready)  # would never return
    assert looks == [need]
    assert tickets(parking) == 0


@pytest.mark.parametrize(("need", "other"), [(Need.ITEM, Need.ROOM), (Need.ROOM, Need.ITEM)])
def test_the_other_need_does_not_wake_it(need: Need, other: Need) -> None:
    parking = Parking()

    def ready() -> bool:
        parking.unpark(other)
        assert tickets(parking) == 0
        parking.unpark(need)
        assert tickets(parking) == 1
        parking.unpark(need)
        assert tickets(parking) == 1  # released once is enough
        return False

    parking.park(need, ready)


def test_unparking_nobody_leaves_no_ticket_behind() -> None:
    parking = Parking()
    for need in (*Need, None):
        parking.unpark(need)
    assert tickets(parking) == 0


def test_a_ticket_too_many_costs_one_look() -> None:
    # The loop saw the flag, the thread saw that it was ready: the ticket stays.
    parking = Parking()

    def ready() -> bool:
        parking.unpark()
        return True

    parking.park(Need.ITEM, ready)
    assert tickets(parking) == 1
    parking.park(Need.ITEM, lambda: False)
    assert tickets(parking) == 0


def test_two_threads_hand_a_thousand_things_over() -> None:
    parking = Parking()
    here: list[int] = []
    took: list[int] = []

    def take() -> None:
        while len(took) < 1000:
            if here:
                took.append(here.pop(0))
            else:
                parking.park(Need.ITEM, lambda: here)

    thread = threading.Thread(target=take)
    thread.start()
    for each in range(1000):
        here.append(each)
        parking.unpark(Need.ITEM)
    thread.join()
    assert took == list(range(1000))
