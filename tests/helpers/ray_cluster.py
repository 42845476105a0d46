"""A cluster of two nodes on this machine, a scan on it, and a node killed in its middle.

python ray_cluster.py FOLDER LEDGER BUNDLE plain|kill|scorer
"""

from __future__ import annotations

import json
import os
import sys
import threading
from pathlib import Path
from typing import Any

os.environ["RAY_USAGE_STATS_ENABLED"] = "0"

from ray.cluster_utils import Cluster

from unmask.archive import Run, ScanJob, ScanPlan, make_pass, open_source, spool_of
from unmask.archive.executors.ray_cluster import RayExecutor


def main() -> None:
    folder, ledger, bundle, what = sys.argv[1:]
    cluster = Cluster(
        initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False}
    )
    node = cluster.add_node(num_cpus=1, resources={"other": 1})
    scan_pass = make_pass(
        bundle, "yunet", frames=4, engine="onnxruntime", explain=False, stability=False
    )
    plan = ScanPlan([open_source(folder)], {"full": scan_pass})
    job = ScanJob(plan.passes, max_pixels=10**8, spool=spool_of(Path(ledger)))
    scoring: dict[str, Any] | None = (
        {"num_cpus": 0, "resources": {"other": 0.5}} if what == "scorer" else None
    )
    engine = RayExecutor(job, cluster.address, scoring=scoring)
    told: dict[str, Any] = {"outcomes": 0}
    with Run(Path(ledger), plan) as archive:
        for _, outcome, _ in archive.outcomes(engine):
            told["outcomes"] += 1
            if what == "kill" and told["outcomes"] == 40:
                threading.Thread(
                    target=cluster.remove_node, args=(node,), kwargs={"allow_graceful": False}
                ).start()
            told["error"] = outcome.error_message or told.get("error")
        told["counts"] = archive.counts()
        told["judged"], told["known"] = archive.coordinator.judged, archive.coordinator.known
    print(json.dumps(told), flush=True)
    os._exit(0)  # the cluster's processes end with their master


if __name__ == "__main__":
    main()
