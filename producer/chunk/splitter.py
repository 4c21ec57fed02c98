"""Where to cut long texts: at paragraphs, else sentences, else words, so that the model reads each piece whole.

The model's own tokenizer counts. `tokens` are all that the model reads of a piece: its special tokens and the prompt
count, so `tokens` up to the model's own limit mean that nothing is truncated.
"""

from collections.abc import Sequence
from pathlib import Path

from semantic_text_splitter import TextSplitter

from producer.chunk.graphemes import whole_graphemes
from producer.chunk.tokens import tokenizer_of, tokens_beside
from schemas.errors import UsageError
from schemas.spec import Spec
from schemas.text import Span

#: Room for the text itself: with less, single characters would not fit.
FEWEST_OWN_TOKENS = 16


class Splitter:
    """Cuts texts for one spec; raises `ModelError` or `UsageError` where that cannot be done as asked."""

    def __init__(self, folder: Path, spec: Spec, *, tokens: int, overlap: int) -> None:
        if spec.max_tokens is not None and tokens > spec.max_tokens:
            raise UsageError(
                f"--chunk-tokens {tokens} is more than the {spec.max_tokens} tokens that the model reads",
                way_out=f"--chunk-tokens {spec.max_tokens}, or less",
            )
        tokenizer = tokenizer_of(folder, spec)
        own = tokens - tokens_beside(tokenizer, spec.prompt)
        if own < FEWEST_OWN_TOKENS:
            raise UsageError(
                f"--chunk-tokens {tokens} leaves {own} tokens for the text, beside the special ones and the prompt",
                way_out=f"--chunk-tokens {tokens - own + FEWEST_OWN_TOKENS}, or more",
            )
        if overlap >= own:
            raise UsageError(
                f"--chunk-overlap {overlap} leaves nothing new in a chunk", way_out=f"less than {own}, say {own // 8}"
            )
        self._splitter = TextSplitter.from_huggingface_tokenizer(tokenizer, own, overlap=overlap)

    def spans(self, texts: Sequence[str]) -> list[list[Span]]:
        """The chunks of each text, as character offsets; at least one each. What is outside of them is white space."""
        found = self._splitter.chunk_all_indices(list(texts))
        return [_spans(text, pieces) for text, pieces in zip(texts, found, strict=True)]


def _spans(text: str, pieces: list[tuple[int, str]]) -> list[Span]:
    spans = [Span(start, start + len(piece)) for start, piece in pieces]
    return whole_graphemes(text, spans) if spans else [Span(0, len(text))]
