"""Token ids of texts by their words: those that came before are looked up, and only new ones reach the tokenizer."""

from worker.engine.words.by_words import ByWords, Found

__all__ = ["ByWords", "Found"]
