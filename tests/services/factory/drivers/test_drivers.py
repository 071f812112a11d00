"""All drivers start and end workers alike, leave nothing behind, and say what is in force."""

import os
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from services.factory.drivers.auto import find_strongest
from services.factory.drivers.catalogue import DRIVERS
from services.factory.drivers.control_groups import ControlGroups
from services.factory.drivers.limits import LAYERS
from services.records.content import Resources
from services.records.node import NodeJoined, WorkerGone, WorkerStarted
from services.records.task import TaskCompleted, TaskFailed
from services.records.telemetry import WorkerOutput
from tests.eventually import eventually
from tests.services.factory.drivers.place import IMAGE, WORKING, python
from tests.services.factory.process_table import find_processes, find_zombies
from tests.services.factory.test_workers import STAY, TRIES_MAX
from tests.services.factory.world import World

RESOURCES = Resources(cpu_millis=1_000, memory_mib=256, storage_mib=16, slots=3)
MARK = "60.7"
ANSWER = '{"ok": true, "outputs": {"out": {"text": "x"}}}'


def find_groups(world: World) -> list[Path]:
    """The control groups of the node that are there now."""
    node = world.directory / "node-n1"
    name = ControlGroups(node.resolve()).name
    return [place for top in ControlGroups(node.resolve()).top() for place in (top / name).glob("*/")]


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with World.open(tmp_path) as world:
        yield world
    assert find_processes(tmp_path, MARK) == []
    assert find_zombies() == []


@pytest.mark.parametrize("driver", WORKING)
async def test_a_stop_ends_the_whole_tree_within_a_second_and_leaves_nothing(world: World, driver: str) -> None:
    took_s = [10.0]
    async with world.node(docker_image=IMAGE):
        while min(took_s) >= 1 and len(took_s) <= TRIES_MAX:
            took_s.append(await stop_one(world, driver, f"i{len(took_s)}"))
    assert min(took_s) < 1, took_s


async def stop_one(world: World, driver: str, instance_id: str) -> float:
    """Stop an instance at work and see that nothing is left of it; gives the seconds that it took."""
    order = await world.start(instance_id, agent="command", driver=driver, resources=RESOURCES)
    assigned = await world.assign(order, parameters=python(driver, STAY, MARK))
    await world.first(WorkerOutput, instance_id=instance_id, line="there")
    await eventually(lambda: len(find_processes(world.directory / "none", MARK)) == 3)
    started = time.monotonic()
    await world.stop(order)
    took_s = time.monotonic() - started
    assert find_processes(world.directory / "none", MARK) == []
    end = await world.end_of(assigned)
    assert isinstance(end, TaskFailed)
    assert (end.code, [each.inline for each in end.outputs]) == ("worker_lost", [b"so far"])
    assert list((world.directory / "node-n1" / "instances").iterdir()) == []
    await eventually(lambda: find_groups(world) == [])
    return took_s


@pytest.mark.parametrize("driver", WORKING)
async def test_nothing_of_an_attempt_outlives_it(world: World, driver: str) -> None:
    leave = "import os\nif os.fork() == 0:\n os.setsid()\n os.fork() or os.execlp('sleep', 'sleep', '" + MARK + "')\n"
    answer = 'import time\ntime.sleep(0.2)\nprint(\'{"ok": true, "outputs": {"out": {"text": "x"}}}\')'
    async with world.node(docker_image=IMAGE):
        order = await world.start("i1", agent="command", driver=driver, resources=RESOURCES)
        assert isinstance(
            await world.end_of(await world.assign(order, parameters=python(driver, leave + answer))), TaskCompleted
        )
        assert find_processes(world.directory / "none", MARK) == []


@pytest.mark.parametrize("driver", WORKING)
async def test_an_output_that_is_a_link_to_elsewhere_is_not_taken(world: World, driver: str) -> None:
    program = "import os, sys; os.symlink(sys.argv[1], 'outputs/out'); print('{\"ok\": true}')"
    secret = world.directory / "secret"
    secret.write_text("secret")
    async with world.node(docker_image=IMAGE):
        order = await world.start("i1", agent="command", driver=driver, resources=RESOURCES)
        end = await world.end_of(await world.assign(order, parameters=python(driver, program, str(secret))))
    assert isinstance(end, TaskFailed)
    assert end.outputs == ()


@pytest.mark.parametrize("driver", WORKING)
async def test_a_directory_made_before_its_attempt_is_not_written_into(world: World, driver: str) -> None:
    program = f"import os, sys; os.symlink(sys.argv[1], '../later'); print({ANSWER!r})"
    outside = world.directory / "outside"
    outside.mkdir()
    async with world.node(docker_image=IMAGE):
        order = await world.start("i1", agent="command", driver=driver, resources=RESOURCES)
        await world.end_of(await world.assign(order, parameters=python(driver, program, str(outside))))
        await world.end_of(await world.assign(order, attempt_id="later", parameters=python(driver, "pass")))
    assert list(outside.iterdir()) == [] or os.geteuid() != 0


@pytest.mark.parametrize("driver", WORKING)
async def test_a_second_life_of_the_node_finds_nothing_left_of_the_first(world: World, driver: str) -> None:
    async with world.node(docker_image=IMAGE):
        await world.start("i1", agent="command", driver=driver, resources=RESOURCES)
    assert find_groups(world) == []
    async with world.node(docker_image=IMAGE):
        await world.start("i2", agent="command", driver=driver, resources=RESOURCES)


@pytest.mark.parametrize("driver", [*WORKING, "auto"])
async def test_twenty_workers_that_are_ordered_at_once_all_get_ready(world: World, driver: str) -> None:
    async with world.node(docker_image=IMAGE):
        for number in range(20):
            await world.start(f"i{number}", ready=False, driver=driver)
        await eventually(lambda: len(world.all(WorkerStarted)) == 20 or world.all(WorkerGone), 120)
        assert world.all(WorkerGone) == []


async def test_a_node_offers_what_works_and_auto(world: World) -> None:
    async with world.node(docker_image=IMAGE):
        joined = world.all(NodeJoined)[-1]
    assert set(joined.drivers) == {"inline", *WORKING, "auto"}
    assert set(joined.drivers) <= set(DRIVERS)


async def test_auto_takes_the_one_with_most_limits_in_force_and_says_which(world: World) -> None:
    async with world.node(docker_image=IMAGE) as node:
        await world.start("i1", driver="auto", resources=RESOURCES)
        limits = (await world.first(WorkerStarted)).limits
        drivers = {name: node.drivers[name] for name in WORKING}
    best = find_strongest(drivers, RESOURCES)
    layers = [limit.partition("=")[0] for limit in limits]
    assert layers == [limit.partition("=")[0] for limit in drivers[best].limits(RESOURCES)]
    assert layers == [layer for layer in LAYERS if layer in layers]
    assert best == ("bubblewrap" if "bubblewrap" in WORKING else "process")


async def test_a_required_layer_that_is_missing_keeps_the_worker_from_starting(world: World) -> None:
    async with world.node(docker_image=IMAGE, required_limits=("core_bytes", "network")):
        await world.start("i1", driver="process", ready=False)
        gone = await world.first(WorkerGone, instance_id="i1")
        assert world.all(WorkerStarted) == []
        assert gone.step == "limits"
        assert gone.reason == (
            "this node requires that core_bytes, network be limited,"
            " which the driver process cannot do here for network"
        )
        if "bubblewrap" in WORKING:
            await world.start("i2", driver="auto")


@pytest.mark.parametrize(
    ("fields", "words"), [({"drivers": ("moon",)}, "driver 'moon'"), ({"required_limits": ("air",)}, "layer 'air'")]
)
async def test_a_name_that_none_has_is_refused(world: World, fields: dict[str, tuple[str, ...]], words: str) -> None:
    node = world.make_node(**fields)
    with pytest.raises(ValueError, match=f"there is no {words}; there are: "):
        await node.run()


def test_groups_of_the_second_version_are_written_and_removed(tmp_path: Path) -> None:
    root = tmp_path / "cgroup"
    own = root / "service"
    own.mkdir(parents=True)
    for place in (root, own):
        (place / "cgroup.controllers").write_text("cpu memory pids\n")
        (place / "cgroup.subtree_control").write_text("cpu memory pids\n")
    (tmp_path / "own").write_text("0::/service\n")
    name = ControlGroups(tmp_path / "node", root, tmp_path / "own").name
    (own / name).mkdir(exist_ok=True)  # the kernel puts files into what is made; this file system does not
    (own / name / "cgroup.subtree_control").write_text("cpu memory pids\n")
    groups = ControlGroups(tmp_path / "node", root, tmp_path / "own")
    assert groups.absence == ""
    (made,) = groups.make("w", RESOURCES)
    found = {place.name: place.read_text() for place in made.iterdir()}
    assert found == {"pids.max": "256", "memory.max": str(256 * 2**20), "cpu.max": "100000 100000"}


def test_groups_that_are_not_ours_to_set_say_so(tmp_path: Path) -> None:
    (tmp_path / "own").write_text("0::/nowhere\n")
    (tmp_path / "cgroup.controllers").write_text("")
    groups = ControlGroups(tmp_path / "node", tmp_path, tmp_path / "own")
    assert groups.absence.startswith("there are no control groups: ")
    assert groups.limits(RESOURCES) == []
    assert groups.make("w", RESOURCES) == ()
