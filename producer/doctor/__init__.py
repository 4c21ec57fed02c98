"""What stands between this machine and a run: looked for, and said with what to do. Changes nothing."""

from producer.doctor.check import Check
from producer.doctor.doctor import Patient, examine

__all__ = ["Check", "Patient", "examine"]
