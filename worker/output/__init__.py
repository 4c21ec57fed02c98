"""From vectors to one Parquet part per job. Knows no model and no queue."""

from worker.output.part import Encoded, Failure, embeddable
from worker.output.write import read_receipt, write_part

__all__ = ["Encoded", "Failure", "embeddable", "read_receipt", "write_part"]
