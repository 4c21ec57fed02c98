"""Vecmill against other programs that embed texts: from a Parquet file to a Parquet file, same texts, same cores."""
