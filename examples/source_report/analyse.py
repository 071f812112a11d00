"""The data analyst of the source report: turns metrics into statistics and a picture."""

from typing import Any

from changes import find_hot_spots, summarise_history
from dependencies import summarise_dependencies
from envelope import Result, Task, perform, report_progress
from picture import draw_picture
from sizes import (
    ROWS_MAX,
    bin_files,
    list_areas,
    list_languages,
    list_largest,
    summarise_code,
    summarise_functions,
    summarise_tree,
)


def analyse(task: Task) -> Result:
    metrics = task.read_json("metrics")
    statistics, hot_spots = compute_statistics(metrics)
    task.write_json("statistics", statistics)
    report_progress(f"{statistics['functions']['count']} functions in {statistics['code']['files']} files of code")
    picture = draw_picture(statistics, hot_spots)
    task.write_text("plot", picture, "image/svg+xml")
    report_progress("plot drawn")
    return {"functions": statistics["functions"]["count"], "hot_spots": len(statistics["hot_spots"])}


def compute_statistics(metrics: dict[str, Any]) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The statistics, and all the hot spots: the picture shows more of them than the tables."""
    code = [file for file in metrics["files"] if file["kind"] == "code"]
    history = metrics["history"]
    hot_spots = find_hot_spots(code, history["churn"])
    statistics = {
        "tree": metrics["tree"],
        "totals": summarise_tree(metrics),
        "code": summarise_code(code),
        "languages": list_languages(metrics["files"]),
        "areas": list_areas(code or metrics["files"]),
        "largest": list_largest(code or metrics["files"]),
        "file_bins": bin_files(code or metrics["files"]),
        "functions": summarise_functions(code),
        "dependencies": summarise_dependencies(code, metrics["tree"]["directory"]),
        "hot_spots": [spot for spot in hot_spots if spot["commits"] > 1][:ROWS_MAX],
        "history": {
            **summarise_history(history),
            "changed_again": sum(spot["commits"] > 1 for spot in hot_spots),
        },
    }
    return statistics, hot_spots


if __name__ == "__main__":
    perform(analyse)
