"""What a run would do and what it would take, while nothing is done: `embed --dry-run`."""

from producer.forecast.cost import Estimate, estimate
from producer.forecast.foresee import Forecast, forecast
from producer.forecast.words import lines

__all__ = ["Estimate", "Forecast", "estimate", "forecast", "lines"]
