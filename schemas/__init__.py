"""The words both sides share; the standard library, pydantic and Arrow schemas, nothing else."""
