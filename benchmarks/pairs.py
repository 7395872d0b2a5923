"""What the bare site took and what another took beside it, in turns one after the other."""

import statistics

Pair = tuple[float, float]


def in_turn(tools: list[str]) -> list[str]:
    """The tools beside the bare site, in the order of their turns: what adds little has more of them."""
    return [tool for tool in tools[1:] for _ in range(5 if tool in ("floor", "inspector") else 1)]


def quiet(pairs: list[Pair]) -> list[Pair]:
    """The best quarter of ``pairs``, one at least: what else the machine does makes both of a pair slower, for seconds or
    minutes, and the differences between them large and random."""
    best = sorted(pairs, key=sum)
    return best[: max(1, len(best) // 4)]


def beside(pairs: list[Pair]) -> tuple[float, float]:
    """The median difference, and the median ratio."""
    more = statistics.median(here - bare for bare, here in pairs)
    return more, statistics.median(here / bare for bare, here in pairs)
