"""The wall clock is believed as long as it keeps step with the boot-time clock."""

import pytest

from bus import clock
from bus.clock import CLOCK_JUMP_MS_MAX, ClockJumped, ManualClock, SystemClock


class Hands:
    """The two clocks of a machine, set by hand."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.wall_ms, self.boot_ms = 1_700_000_000_000, 5_000
        monkeypatch.setattr(clock, "_wall_ms", lambda: self.wall_ms)
        monkeypatch.setattr(clock, "_boot_ms", lambda: self.boot_ms)

    def pass_ms(self, ms: int) -> None:
        self.wall_ms += ms
        self.boot_ms += ms


@pytest.fixture
def hands(monkeypatch: pytest.MonkeyPatch) -> Hands:
    return Hands(monkeypatch)


def test_time_that_passes_on_both_is_no_jump(hands: Hands) -> None:
    system = SystemClock()
    hands.pass_ms(30 * 24 * 3600 * 1000)  # a month, or a laptop asleep: the boot-time clock counts that too
    assert system.now_ms() == hands.wall_ms


@pytest.mark.parametrize("jump_ms", [3_600_000, -3_600_000, 24 * 3_600_000, CLOCK_JUMP_MS_MAX + 1])
def test_a_clock_that_was_set_stops_the_process_and_says_by_how_much(hands: Hands, jump_ms: int) -> None:
    system = SystemClock()
    hands.wall_ms += jump_ms
    with pytest.raises(ClockJumped, match=f"moved by {jump_ms} ms"):
        system.now_ms()
    hands.wall_ms -= jump_ms
    assert system.now_ms() == hands.wall_ms


def test_a_frozen_wall_clock_is_found_out(hands: Hands) -> None:
    system = SystemClock()
    hands.boot_ms += CLOCK_JUMP_MS_MAX + 1
    with pytest.raises(ClockJumped):
        system.now_ms()


@pytest.mark.parametrize("jump_ms", [CLOCK_JUMP_MS_MAX, -CLOCK_JUMP_MS_MAX, 0])
def test_what_a_time_server_corrects_is_no_jump(hands: Hands, jump_ms: int) -> None:
    system = SystemClock()
    hands.wall_ms += jump_ms
    assert system.now_ms() == hands.wall_ms


def test_the_machine_s_own_clocks_keep_step() -> None:
    system = SystemClock(jump_ms_max=2_000)
    assert abs(system.now_ms() - system.now_ms()) < 2_000


def test_a_manual_clock_moves_when_it_is_told() -> None:
    manual = ManualClock(10)
    manual.advance(5)
    assert manual.now_ms() == 15
