"""What each kind of first module, the one that reads texts, says in its folder; and how long a text it reads.

A registry by kind, as in `model_kinds`. Loads no weight.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from schemas.errors import ModelError
from schemas.model_files import read_object
from schemas.model_kinds import Place
from schemas.model_length import Length, resolve_length
from schemas.model_own import is_own, own_length
from schemas.model_transformer import resolved_transformer, transformer_config
from schemas.spec import Module

_WORD_TOKENIZERS = ("WhitespaceTokenizer", "PhraseTokenizer", "TransformersTokenizerWrapper")
_CLIP = {
    "modality_config": {"text": {"method": "get_text_features", "method_output_name": "pooler_output"}},
    "module_output_name": "sentence_embedding",
}


def _transformer(place: Place) -> dict[str, Any]:
    return resolved_transformer(transformer_config(place.folder), place.folder, place.task)


def _clip(place: Place) -> dict[str, Any]:
    return resolved_transformer({**_CLIP, **transformer_config(place.folder)}, place.folder, place.task)


def _static(_: Place) -> dict[str, Any]:
    return {}


def _words(place: Place) -> dict[str, Any]:
    config = place.read("wordembedding_config.json")
    prefix, _, tokenizer = str(config.get("tokenizer_class", "")).rpartition(".")
    if tokenizer not in _WORD_TOKENIZERS or prefix.partition(".")[0] != "sentence_transformers":
        known = ", ".join(_WORD_TOKENIZERS)
        raise ModelError(f"{place.folder} splits words with {prefix}.{tokenizer}", way_out=f"supported are {known}")
    if tokenizer == "PhraseTokenizer" and "stop_words" not in place.read("phrasetokenizer_config.json"):
        raise ModelError(f"{place.folder} has no phrasetokenizer_config.json with stop_words", way_out="fetch it again")
    return {"tokenizer": tokenizer}


def _bag_of_words(place: Place) -> dict[str, Any]:
    return {"cumulative": bool(place.read().get("cumulative_term_frequency", True))}


FIRST: dict[str, Callable[[Place], dict[str, Any]]] = {
    "Transformer": _transformer,
    "CLIPModel": _clip,
    "StaticEmbedding": _static,
    "WordEmbeddings": _words,
    "BoW": _bag_of_words,
}


def length_of(place: Path, module: Module, asked: int | None, *, network: dict[str, Any]) -> Length:
    """The most tokens of one text that the first module reads: it lies in `place`, `network` is its config.json."""
    if is_own(module.kind):
        return Length(own_length(place, module, asked))
    return _LENGTHS[module.kind](place, network, asked)


def _transformer_length(place: Path, network: dict[str, Any], asked: int | None) -> Length:
    return resolve_length(
        asked,
        module=transformer_config(place),
        tokenizer=read_object(place / "tokenizer_config.json"),
        config=network,
    )


def _static_length(place: Path, _: dict[str, Any], asked: int | None) -> Length:
    saved = (read_object(place / "tokenizer.json").get("truncation") or {}).get("max_length")
    return Length(asked if asked is not None else saved)


def _words_length(place: Path, _: dict[str, Any], asked: int | None) -> Length:
    saved = read_object(place / "wordembedding_config.json").get("max_seq_length", 1_000_000)
    return Length(asked if asked is not None else saved)


def _no_length(_place: Path, _: dict[str, Any], asked: int | None) -> Length:
    return Length(asked)


_LENGTHS: dict[str, Callable[[Path, dict[str, Any], int | None], Length]] = {
    "Transformer": _transformer_length,
    "StaticEmbedding": _static_length,
    "WordEmbeddings": _words_length,
    "BoW": _no_length,
}
