"""A run as one HTML page that needs nothing else: gathered from the table, drawn, written. Reads no queue."""

from producer.report.story import tell
from producer.report.write import write_report

__all__ = ["tell", "write_report"]
