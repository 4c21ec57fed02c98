"""What workers say of a run that does not go well: why jobs came back, who waits for a disk, who takes no part."""

from collections.abc import Sequence

from producer.display import Display
from producer.ledger import Ledger, Progress
from schemas.errors import RunFailed

#: So many different causes are told; a run in which everything fails differently shall not flood its log.
_MOST_CAUSES = 20


class Complaints:
    """Says each thing once: the run may go well all the same, or may be about to fail."""

    def __init__(self, ledger: Ledger, display: Display) -> None:
        self._ledger = ledger
        self._display = display
        self._told: set[str] = set()
        self._waiting: dict[str, str] = {}

    def tell(self) -> None:
        """What is new since the last time."""
        for job, cause in self._ledger.causes().items():
            if cause not in self._told and len(self._told) < _MOST_CAUSES:
                self._told.add(cause)
                self._display.say(f"job {job} was given back and will be tried again: {cause}")
        waiting = self._ledger.obstacles()
        for said in sorted(set(waiting.values()) - set(self._waiting.values())):
            who = sum(text == said for text in waiting.values())
            self._display.say(f"{who} worker(s) wait, with their jobs in hand, until this is mended: {said}")
        if self._waiting and not waiting:
            self._display.say("no worker waits any more")
        self._waiting = waiting

    def check_willing(self, workers: Sequence[str], progress: Progress, *, run: str, way_out: str) -> None:
        """Raise `RunFailed` where every living worker refuses the run and nothing of it is done."""
        refusals = self._ledger.refusals()
        if workers and not progress.done and all(worker in refusals for worker in workers):
            raise RunFailed(
                f"none of the {len(workers)} worker(s) takes part in run {run}:\n{refusals[workers[0]]}",
                way_out=way_out,
            )
