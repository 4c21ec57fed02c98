"""The model as ONNX, and in 8-bit integers (dynamic, as sentence-transformers does it for AVX-512 VNNI).

python -P onnx.py MODEL FOLDER TEXTS.parquet
"""

import json
import sys
from pathlib import Path

from sentence_transformers import SentenceTransformer, export_dynamic_quantized_onnx_model


def main(model: str, folder: str, _texts: str) -> None:
    exported = SentenceTransformer(model, device="cpu", backend="onnx", model_kwargs={"export": True})
    exported.save_pretrained(folder)
    # fastembed reads here how long a text may be, and not in sentence_bert_config.json.
    config = Path(folder) / "tokenizer_config.json"
    lengths = dict.fromkeys(("model_max_length", "max_length"), exported.max_seq_length)
    config.write_text(json.dumps(json.loads(config.read_text()) | lengths))
    export_dynamic_quantized_onnx_model(exported, "avx512_vnni", folder)


if __name__ == "__main__":
    main(*sys.argv[1:])
