"""The model for OpenVINO, and in 8-bit integers (static, calibrated with texts like those that are measured).

python -P openvino.py MODEL FOLDER TEXTS.parquet
"""

import sys

import nncf
import pyarrow.parquet as pq
from openvino import save_model
from sentence_transformers import SentenceTransformer

#: As many as sentence-transformers' own export takes.
_TEXTS = 300


def main(model: str, folder: str, texts: str) -> None:
    exported = SentenceTransformer(model, device="cpu", backend="openvino", model_kwargs={"export": True})
    exported.save_pretrained(folder)
    every = pq.read_table(texts, columns=["text"])["text"].to_pylist()
    some = every[:: max(len(every) // _TEXTS, 1)][:_TEXTS]
    network = exported[0].auto_model.model
    names = {name for port in network.inputs for name in port.names}

    def inputs(text: str) -> dict[str, object]:
        encoded = exported.tokenizer(text, truncation=True, max_length=exported.max_seq_length, return_tensors="np")
        return {name: value for name, value in encoded.items() if name in names}

    quantized = nncf.quantize(
        network, nncf.Dataset(some, inputs), model_type=nncf.ModelType.TRANSFORMER, subset_size=len(some)
    )
    save_model(quantized, f"{folder}/openvino/openvino_model_int8.xml")


if __name__ == "__main__":
    main(*sys.argv[1:])
