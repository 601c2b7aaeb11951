"""What each kind of run does when its turn comes."""

from __future__ import annotations

import asyncio
from functools import partial

from rag.access import Principal
from rag.api.evaluating import Evaluation
from rag.api.service import Service
from rag.runs import decision, training
from rag.runs.folder import RunFolder
from rag.runs.launcher import INSIDE, PROGRAMS, Running
from rag.store.records import StoredRun


def launch(service: Service, principal: Principal, run: StoredRun, loop: asyncio.AbstractEventLoop) -> None:
    """
    Let a run wait for its turn, to begin or to go on.

    Args:
        service: the server's state.
        principal: who wants it.
        run: as it is stored; a training without a plan is planned.
        loop: where the server answers questions.
    """
    data_dir = service.workspace.settings.data_dir
    folder = RunFolder(data_dir, run.id)
    if run.kind == "evaluation":
        evaluation = Evaluation(service, principal, run, folder, loop)
        service.launcher.put(INSIDE, Running(run.id, "running", evaluation.run))
    elif run.kind == "decision":
        work = partial(decision.decide, folder, run.settings, data_dir)
        service.launcher.put(PROGRAMS, Running(run.id, "running", work))
    elif run.result is None:
        service.launcher.put(PROGRAMS, Running(run.id, "checking", partial(training.check, folder, run.settings)))
    else:
        work = partial(training.train, folder, run.settings, run.result["plan"])
        service.launcher.put(PROGRAMS, Running(run.id, "running", work))
