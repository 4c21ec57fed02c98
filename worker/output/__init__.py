"""From vectors to one Parquet part per job. Knows no model and no queue."""
