"""Resource classes: what an instance of a profession gets when nobody says more."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal

from services.records.content import Resources

ResourceClass = Literal["compute", "balanced", "light"]

RESOURCE_CLASSES: Mapping[str, Resources] = MappingProxyType(
    {
        "compute": Resources(
            cpu_millis=4000, memory_mib=8 * 1024, storage_mib=50 * 1024, api_calls_per_minute=1000, slots=10
        ),
        "balanced": Resources(
            cpu_millis=2000, memory_mib=4 * 1024, storage_mib=20 * 1024, api_calls_per_minute=500, slots=5
        ),
        "light": Resources(
            cpu_millis=1000, memory_mib=2 * 1024, storage_mib=10 * 1024, api_calls_per_minute=200, slots=3
        ),
    }
)

RESOURCE_CLASS_DEFAULT: ResourceClass = "light"
