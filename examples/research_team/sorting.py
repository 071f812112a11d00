"""Ways of sorting that count how often they compare two values."""

from collections.abc import Callable, Mapping


def insertion(values: list[int]) -> int:
    count, done = 0, list[int]()
    for value in values:
        at = len(done)
        while at > 0:
            count += 1
            if done[at - 1] <= value:
                break
            at -= 1
        done.insert(at, value)
    assert done == sorted(values)
    return count


def merge(values: list[int]) -> int:
    done, count = _merge(values)
    assert done == sorted(values)
    return count


def _merge(values: list[int]) -> tuple[list[int], int]:
    if len(values) < 2:
        return values, 0
    (left, a), (right, b) = _merge(values[: len(values) // 2]), _merge(values[len(values) // 2 :])
    count, done, i, j = a + b, list[int](), 0, 0
    while i < len(left) and j < len(right):
        count += 1
        if left[i] <= right[j]:
            done.append(left[i])
            i += 1
        else:
            done.append(right[j])
            j += 1
    return [*done, *left[i:], *right[j:]], count


def bubble(values: list[int]) -> int:
    done, count = list(values), 0
    for end in range(len(done) - 1, 0, -1):
        for at in range(end):
            count += 1
            if done[at] > done[at + 1]:
                done[at], done[at + 1] = done[at + 1], done[at]
    assert done == sorted(values)
    return count


METHODS: Mapping[str, Callable[[list[int]], int]] = {"insertion": insertion, "merge": merge, "bubble": bubble}
