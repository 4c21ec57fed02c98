"""Whether a table is what it should be; every deviation is a finding. Changes nothing."""

from producer.verify.finding import Finding
from producer.verify.verify import verify

__all__ = ["Finding", "verify"]
