"""How many tokens of a text a model reads, by the rules of its own files and of the request.

A learned position table is a hard end: beyond it a model has no position to give. RoBERTa-like tables lose
their first padding_idx + 1 entries to padding, so a table of 514 reads 512 tokens.
"""

from dataclasses import dataclass
from typing import Any

from schemas.errors import ModelError

#: Model types whose positions are a learned table that starts after the padding index, and those where it starts at 0.
_OFFSET_TABLES = frozenset(
    {"roberta", "roberta-prelayernorm", "xlm-roberta", "xlm-roberta-xl", "xmod", "camembert", "mpnet", "data2vec-text"}
    | {"longformer", "esm", "ibert", "luke", "mluke", "markuplm"}
)
_PLAIN_TABLES = frozenset(
    {"bert", "distilbert", "electra", "albert", "ernie", "convbert", "deberta", "gpt2", "gpt_neo", "openai-gpt"}
    | {"mobilebert", "layoutlm", "megatron-bert", "nystromformer", "big_bird", "opt", "rembert", "fnet", "squeezebert"}
)
#: Tokenizers write about 1e30 where they know no limit.
_NO_LIMIT = 10**9


@dataclass(frozen=True, slots=True)
class Length:
    """The most tokens of one text, special tokens counted, None where nothing limits them; and what to tell."""

    max_tokens: int | None
    warning: str = ""


def resolve_length(
    asked: int | None, *, module: dict[str, Any], tokenizer: dict[str, Any], config: dict[str, Any]
) -> Length:
    """`asked`, else what the Transformer module says, else the lesser of tokenizer and config."""
    usable = usable_positions(config)
    if asked is not None:
        return _asked(asked, usable, config)
    said = _said(module, tokenizer, config)
    if said is None or said >= _NO_LIMIT:
        return Length(usable)
    if usable is None or said <= usable:
        return Length(said)
    # The table's own size, taken for a length: the usual slip of RoBERTa-like models.
    if said == config.get("max_position_embeddings"):
        return Length(usable, f"the model's files say {said} tokens; its positions end at {usable}, which is used")
    raise ModelError(
        f"the model's files say {said} tokens, but its learned positions end at {usable}",
        way_out=f"--max-tokens {usable}, or less",
    )


def usable_positions(config: dict[str, Any]) -> int | None:
    """How many learned positions there are for tokens; None where positions are not a learned table."""
    kind = config.get("model_type", "")
    positions = next((config[key] for key in ("max_position_embeddings", "n_positions") if config.get(key)), None)
    if positions is None or config.get("position_embedding_type", "absolute") != "absolute":
        return None
    if kind in _OFFSET_TABLES:
        padding = config.get("pad_token_id")
        return int(positions) - (1 if padding is None else int(padding)) - 1
    return int(positions) if kind in _PLAIN_TABLES else None


def _asked(asked: int, usable: int | None, config: dict[str, Any]) -> Length:
    if usable is not None and asked > usable:
        raise ModelError(
            f"--max-tokens {asked} is more than the model's {usable} learned positions",
            way_out=f"--max-tokens {usable}, or less",
        )
    trained = config.get("max_position_embeddings")
    if isinstance(trained, int) and asked > trained > 0 and usable is None:
        return Length(asked, f"--max-tokens {asked} goes beyond the {trained} tokens the model was made for")
    return Length(asked)


def _said(module: dict[str, Any], tokenizer: dict[str, Any], config: dict[str, Any]) -> int | None:
    explicit = (module.get("processor_kwargs") or {}).get("model_max_length", module.get("max_seq_length"))
    if explicit is not None:
        return int(explicit)
    own = tokenizer.get("model_max_length", tokenizer.get("max_len"))
    positions = config.get("max_position_embeddings")
    limits = [limit for limit in (own, None if positions == -1 else positions) if limit is not None]
    return int(min(limits)) if limits else None
