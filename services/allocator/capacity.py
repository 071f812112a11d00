"""Arithmetic of resources: what fits, what is missing, how tightly."""

from services.records.content import Resources

DIMENSIONS = ("cpu_millis", "memory_mib", "storage_mib", "gpus", "api_calls_per_minute", "slots")


def is_capacity(resources: Resources) -> bool:
    """Whether a node may offer this, or an instance need it: nothing negative, and room for a task."""
    return resources.slots > 0 and all(getattr(resources, name) >= 0 for name in DIMENSIONS)


def add(a: Resources, b: Resources) -> Resources:
    return Resources(**{name: getattr(a, name) + getattr(b, name) for name in DIMENSIONS})


def subtract(a: Resources, b: Resources) -> Resources:
    return Resources(**{name: getattr(a, name) - getattr(b, name) for name in DIMENSIONS})


def lesser(a: Resources, b: Resources) -> Resources:
    """Of each resource the smaller amount."""
    return Resources(**{name: min(getattr(a, name), getattr(b, name)) for name in DIMENSIONS})


def fits(need: Resources, free: Resources) -> bool:
    return all(getattr(need, name) <= getattr(free, name) for name in DIMENSIONS)


def shortage(need: Resources, free: Resources) -> Resources:
    """What would have to be added for the need to fit."""
    return Resources(**{name: max(0, getattr(need, name) - getattr(free, name)) for name in DIMENSIONS})


def slack(need: Resources, free: Resources, capacity: Resources) -> int:
    """How loosely a node would be filled: what is left of each of its resources in thousandths, summed."""
    return sum(
        1000 * (getattr(free, name) - getattr(need, name)) // getattr(capacity, name)
        for name in DIMENSIONS
        if getattr(capacity, name)
    )


def distance(need: Resources, free: Resources) -> int:
    """How far a need is from fitting: what is missing of each resource in thousandths of the need, summed."""
    return sum(
        1000 * max(0, getattr(need, name) - getattr(free, name)) // getattr(need, name)
        for name in DIMENSIONS
        if getattr(need, name)
    )


def spell(resources: Resources) -> str:
    """All that is not zero, in words: "cpu_millis 500, slots 3"."""
    parts = [f"{name} {getattr(resources, name)}" for name in DIMENSIONS if getattr(resources, name)]
    return ", ".join(parts) or "nothing"
