"""What must hold of every log once all is quiet (I1 to I5, I7, I8, I9 and I11), counted from its raw records alone."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from graphlib import CycleError, TopologicalSorter

from tests.system.raw_log import Line, RawLog

Law = Callable[[RawLog], Iterable[str]]

FINALS: Mapping[str, tuple[str, ...]] = {
    "RunRequested": ("RunStarted", "RunRefused", "RunFound"),
    "RunCancelRequested": ("RunEnding", "AskRefused"),
    "InstanceRequested": ("InstanceAccepted", "InstanceRefused"),
    "InstanceDestroyRequested": ("InstanceDraining", "InstanceRefused"),
}
"""The facts of which each ask gets exactly one, by its id."""


def every_ask_has_one_answer(raw: RawLog) -> Iterator[str]:
    """I1: each ask has one final fact, each run that began one end, each instance that was accepted at most one."""
    for kind, finals in FINALS.items():
        answers = Counter(line["ask_id"] for line in raw.of(*finals))
        for ask_id in {line.id for line in raw.of(kind)}:
            if answers[ask_id] != 1:
                yield f"I1 the {kind} {ask_id} has {answers[ask_id]} answers"
    ends = Counter(line["run_id"] for line in raw.of("RunEnded"))
    for line in raw.of("RunStarted"):
        if ends[line["run_id"]] != 1:
            yield f"I1 the run {line['run_id']} has {ends[line['run_id']]} ends"
    for instance_id, count in Counter(line["instance_id"] for line in raw.of("InstanceEnded")).items():
        if count != 1:
            yield f"I1 the instance {instance_id} has {count} ends"


def every_attempt_counts_once(raw: RawLog) -> Iterator[str]:
    """I2: one result or failure per attempt, from the one report of its node, and one end per stage execution."""
    judged = [line for line in raw.of("StageCompleted", "AttemptFailed") if line["attempt_id"]]
    for attempt_id, count in Counter(line["attempt_id"] for line in judged).items():
        if count != 1:
            yield f"I2 the attempt {attempt_id} was judged {count} times"
    reports: dict[str, set[str]] = defaultdict(set)
    for line in raw.of("TaskCompleted", "TaskFailed"):
        reports[line["attempt_id"]].add(line.id)
    for attempt_id, ids in reports.items():
        if len(ids) != 1:
            yield f"I2 the attempt {attempt_id} was answered by {len(ids)} reports: {sorted(ids)}"
    for line in judged:
        yield from _check_result(raw, line)
    yield from _check_ends(raw)


def _check_result(raw: RawLog, judged: Line) -> Iterator[str]:
    """A result that was taken is the one that was reported, and hangs from its report."""
    if judged.type != "StageCompleted":
        return
    report = raw.by_at.get(judged.cause)
    if report is None or report.type != "TaskCompleted" or report["attempt_id"] != judged["attempt_id"]:
        yield f"I2 the result of {judged.at} does not come from a report on attempt {judged['attempt_id']}"
    elif report["result"] != judged["result"]:
        yield f"I2 the result at {judged.at} is not what {report.at} reported"


def _check_ends(raw: RawLog) -> Iterator[str]:
    def name(line: Line) -> tuple[str, str, int, int]:
        return line["run_id"], line["stage"], line["execution"], line["item"]

    ends = Counter(name(line) for line in raw.of("StageCompleted", "StageEnded"))
    yield from (f"I2 the execution {each} has {count} ends" for each, count in ends.items() if count != 1)
    begun = {
        (line["work"]["run_id"], line["work"]["stage"], line["work"]["execution"], line["work"]["item"])
        for line in raw.of("TaskRequested")
    }
    yield from (f"I2 the execution {each} was begun and never ended" for each in sorted(begun - ends.keys()))
    tasks = Counter(line["task_id"] for line in raw.of("StageCompleted", "StageEnded") if line["task_id"])
    yield from (f"I2 the task {task} ended {count} times" for task, count in tasks.items() if count != 1)


def every_run_is_in_order(raw: RawLog) -> Iterator[str]:
    """I3: the facts of a run stand in one partition, from its start to its end; what comes late is refused."""
    runs: dict[str, list[Line]] = defaultdict(list)
    for line in raw.lines:
        if line.said and line.role == "orchestrator.runs":
            work = line.body.get("work") or line.body
            runs[work.get("run_id", "")].append(line)
    runs.pop("", None)
    for run_id, facts in runs.items():
        if len({(line.channel, line.number) for line in facts}) != 1:
            yield f"I3 the run {run_id} is spread over partitions"
        if facts[0].type not in ("RunStarted", "RunRefused"):
            yield f"I3 the run {run_id} begins with {facts[0].type}"
        types = [line.type for line in facts]
        late = set(types[types.index("RunEnded") + 1 :]) if "RunEnded" in types else set()
        if late - {"ResultRefused", "AskRefused"}:
            yield f"I3 after its end the run {run_id} says {sorted(late)}"
        yield from _check_numbers(run_id, facts)


def _check_numbers(run_id: str, facts: list[Line]) -> Iterator[str]:
    """Executions of a stage are numbered from 1 on without a gap, and so are the attempts of each."""
    executions: dict[tuple[str, int], int] = defaultdict(int)
    attempts: dict[str, int] = defaultdict(int)
    for line in facts:
        if line.type != "TaskRequested":
            continue
        work, task_id = line["work"], line["task_id"]
        attempts[task_id] += 1
        if line["attempt"] != attempts[task_id]:
            yield f"I3 attempt {line['attempt']} of {work['stage']} in {run_id} comes as number {attempts[task_id]}"
        stage = work["stage"], work["item"]
        if work["execution"] not in (executions[stage], executions[stage] + 1):
            yield f"I3 execution {work['execution']} of {stage} in {run_id} follows {executions[stage]}"
        executions[stage] = max(executions[stage], work["execution"])


def nothing_goes_back(raw: RawLog) -> Iterator[str]:
    """I4: epochs, artifact versions, heard positions and the time of a role only grow."""
    highest: dict[tuple[object, ...], int] = {}

    def check(line: Line, what: str, name: tuple[object, ...], value: int, step: int) -> Iterator[str]:
        before = highest.get((what, *name))
        if before is not None and value < before + step:
            yield f"I4 {what} of {name} goes from {before} to {value} at {line.at}"
        highest[what, *name] = value

    for line in raw.lines:
        home = (line.role, line.channel, line.number)
        if line.kind == "claim" and line.counts:
            yield from check(line, "the epoch", home, line.epoch, 1)
        if not line.said:
            continue
        yield from check(line, "the time", home, line.time_ms, 0)
        if line.type == "Heard":
            for each in line["inputs"]:
                yield from check(line, "the position", (*home, each["channel"]), each["offset"], 0)
        if line.type in ("StageCompleted", "StageEnded"):
            for each in line["outputs"]:
                yield from check(line, "the version", (line["run_id"], each["name"]), each["version"], 1)


def only_what_counts_is_acted_on(raw: RawLog) -> Iterator[str]:
    """I5: whatever counts hangs from something that counts, and posts are acted on once, in their order."""
    acted: dict[tuple[object, ...], int] = defaultdict(int)
    for line in raw.lines:
        cause = raw.by_at.get(line.cause)
        if cause is None or not line.counts:
            continue
        if line.kind in ("fact", "report") and not cause.counts:
            yield f"I5 {line.type} at {line.at} acts on {cause.type} at {cause.at}, which does not count"
        if line.kind == "fact" and line.part == 0 and cause.kind == "post":
            yield from _check_post(raw, line, cause, acted)


def _check_post(raw: RawLog, line: Line, post: Line, acted: dict[tuple[object, ...], int]) -> Iterator[str]:
    home = raw.by_at.get(post.cause)
    if home is None or not home.said or home.id != post.id:
        yield f"I5 {line.type} at {line.at} acts on a post of a fact that does not count, {post.cause}"
        return
    way = (line.role, line.number, post.role, home.number)
    if post.seq < acted[way]:
        yield f"I5 {line.type} at {line.at} acts on post {post.seq} of {way} after post {acted[way] - 1}"
    acted[way] = post.seq + 1


def causes_come_first(raw: RawLog) -> Iterator[str]:
    """I7: each cause is on the log, in its partition before the effect, and nothing causes itself."""
    graph: dict[str, set[str]] = {}
    for line in raw.lines:
        if not line.cause or line.cause.startswith("deadline:"):
            continue
        cause = raw.by_at.get(line.cause)
        if cause is None:
            yield f"I7 the cause {line.cause} of {line.at} is not on the log"
        elif (cause.channel, cause.number) == (line.channel, line.number) and cause.offset >= line.offset:
            yield f"I7 {line.at} comes before its cause {line.cause}"
        graph[line.at] = {line.cause}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        yield f"I7 causes go round: {error.args[1]}"


def capacity_is_conserved(raw: RawLog) -> Iterator[str]:
    """I8: each grant is given once, and freed or lost with its node once at most, and not before it was given."""
    granted = Counter(line["grant_id"] for line in raw.of("CapacityGranted"))
    freed = Counter(line["grant_id"] for line in raw.of("CapacityFreed", "HostLost"))
    yield from (f"I8 the grant {each} was given {count} times" for each, count in granted.items() if count != 1)
    yield from (f"I8 the grant {each} was freed {count} times" for each, count in freed.items() if count != 1)
    yield from (f"I8 the grant {each} was freed but never given" for each in sorted(freed.keys() - granted.keys()))


def alarms_come_in_pairs(raw: RawLog) -> Iterator[str]:
    """I9: an alarm is raised once, with evidence, and cleared once at most."""
    for kind in ("AlarmRaised", "AlarmCleared"):
        for alarm_id, count in Counter(line["alarm_id"] for line in raw.of(kind)).items():
            if count != 1:
                yield f"I9 {kind} {alarm_id} is said {count} times"
    yield from (
        f"I9 the alarm at {line.at} shows no evidence" for line in raw.of("AlarmRaised") if not line["evidence"]
    )


def ids_are_made_once(raw: RawLog) -> Iterator[str]:
    """I11: no two facts that count have one id."""
    first: dict[str, Line] = {}
    for line in raw.lines:
        if line.said and first.setdefault(line.id, line) is not line:
            yield f"I11 {_cited(first[line.id])} and {_cited(line)} have one id, {line.id}"


def _cited(line: Line) -> str:
    return f"{line.type} at {line.at} by session {line.session} <- {line.cause}"


LAWS: tuple[Law, ...] = (
    every_ask_has_one_answer,
    every_attempt_counts_once,
    every_run_is_in_order,
    nothing_goes_back,
    only_what_counts_is_acted_on,
    causes_come_first,
    capacity_is_conserved,
    alarms_come_in_pairs,
    ids_are_made_once,
)


def broken_laws(raw: RawLog) -> list[str]:
    """Every way in which a quiet log breaks a law."""
    return [sentence for law in LAWS for sentence in law(raw)]


def open_work(raw: RawLog) -> list[str]:
    """What has not come to its end yet: asks, runs, attempts, grants of instances that have ended."""
    ended = {line["run_id"] for line in raw.of("RunEnded", "RunRefused")}
    left = [f"run {line['run_id']}" for line in raw.of("RunStarted") if line["run_id"] not in ended]
    settled = {attempt for line in raw.of("TasksSettled") for attempt in line["attempts"]}
    never_assigned = (line for line in raw.of("TaskLost", "AttemptCancelled") if not line["instance_id"])
    settled |= {line["attempt_id"] for line in never_assigned}
    # With its instance gone nobody is left to report the end of an attempt, and there is no slot to settle.
    settled |= {line["attempt_id"] for line in raw.of("TaskLost") if line["code"] == "worker_lost"}
    left += [f"attempt {a}" for a in sorted({line["attempt_id"] for line in raw.of("TaskRequested")} - settled)]
    return left + [f"ask {each.split('the ')[1]}" for each in every_ask_has_one_answer(raw) if " 0 answers" in each]


def open_needs(raw: RawLog) -> set[str]:
    """Instances that the router asked for and nobody has answered about."""
    answered = {line["ask_id"] for line in raw.of("InstanceAccepted", "InstanceRefused")}
    answered |= {line["need_id"] for line in raw.of("NeedEnded")}
    return {line["need_id"] for line in raw.of("InstanceNeeded")} - answered


def open_grants(raw: RawLog) -> set[str]:
    """Grants that were given and neither freed nor lost with their node."""
    freed = {line["grant_id"] for line in raw.of("CapacityFreed", "HostLost")}
    return {line["grant_id"] for line in raw.of("CapacityGranted")} - freed


def living_instances(raw: RawLog, workspace: str = "") -> set[tuple[str, str]]:
    """Workspace and id of each instance that was accepted and has not ended."""
    ended = {line["instance_id"] for line in raw.of("InstanceEnded")}
    accepted = {(line["workspace_id"], line["instance_id"]) for line in raw.of("InstanceAccepted")}
    return {(key, each) for key, each in accepted if each not in ended and workspace in ("", key)}
