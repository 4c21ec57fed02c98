"""What a finished run came to: the last line of `embed --json`, and the summary for people."""

from schemas.record import Record


class Result(Record):
    """The outcome of a run. `version` is the Delta version it was committed as; `chunks` the vectors which that holds.

    `padding` is tokens computed per token that was encoded; `batch_tokens` and `batch_spread` are mean and coefficient
    of variation of the tokens that went through the model at once. `rows` counts the `tombstones` of the source, too.
    """

    run: str
    table: str
    version: int | None
    rows: int
    chunks: int
    embedded: int
    reused: int
    deleted: int
    tombstones: int
    duplicates: int
    failed: int
    truncated: int
    tokens: int
    padding: float
    batches: int
    batch_tokens: float
    batch_spread: float
    seconds: float
    seconds_encode: float
    dtype: str
    device: str
    dims: int
    fingerprint: str

    def lines(self) -> list[str]:
        """The summary as a person reads it."""
        encoded = self.embedded - self.duplicates
        encoded_tokens = self.batches * self.batch_tokens / self.padding if self.padding else self.tokens
        rate = encoded / self.seconds_encode if self.seconds_encode > 0 else 0.0
        tokens = encoded_tokens / self.seconds_encode if self.seconds_encode > 0 else 0.0
        lines = [
            f"version {self.version} of {self.table} holds {self.chunks:,} vectors of {self.dims} dimensions",
            f"  {self.rows:,} rows: {self.embedded:,} embedded, {self.reused:,} reused; "
            f"{self.deleted:,} deleted from the table",
        ]
        if self.tombstones:
            lines.append(f"  {_counted(self.tombstones, 'row')} of the source only said that an id is to go")
        if self.duplicates:
            lines.append(
                f"  {_counted(self.duplicates, 'text')} had a vector already, or came again: one encoding was enough"
            )
        if not encoded:
            return [*lines, *self._losses()]
        lines.append(
            f"  {self.seconds:,.1f} s in all, {self.seconds_encode:,.1f} s encoding: "
            f"{rate:,.0f} rows/s, {tokens:,.0f} tokens/s ({self.dtype} on {self.device})"
        )
        if self.batches:
            lines.append(
                f"  {_counted(self.batches, 'batch', 'batches')} of {self.batch_tokens:,.0f} tokens, "
                f"{self.batch_spread:.0%} uneven; "
                f"{self.padding - 1:.1%} padding"
            )
        return [*lines, *self._losses()]

    def _losses(self) -> list[str]:
        lines = []
        if self.truncated:
            lines.append(
                f"  {_counted(self.truncated, 'text')} longer than the model reads: truncated (column `truncated`)"
            )
        if self.failed:
            lines.append(f"  {_counted(self.failed, 'row')} failed, not in the table: {self.table}/_errors/{self.run}/")
        return lines


def _counted(number: int, noun: str, several: str | None = None) -> str:
    return f"{number:,} {noun if number == 1 else several or noun + 's'}"
