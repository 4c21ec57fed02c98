"""Who is compared: for each, what to install, which adapter runs it, and its settings."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

_HERE = Path(__file__).parent
#: Small batches are best for most on a CPU; all are tried, on a sample of each corpus.
BATCH_SIZES = (8, 16, 32, 64)
_TORCH = "torch==2.13.0"


@dataclass(frozen=True)
class Environment:
    """Packages that a peer needs; pyarrow comes on top, as Vecmill has it, where none is named."""

    name: str
    packages: tuple[str, ...]


@dataclass(frozen=True)
class Peer:
    """One line of the table."""

    name: str
    #: What it computes its products in: the row of the measured peak that it is compared with.
    precision: str
    adapter: str
    environment: Environment | None = None
    #: A file of exports/ that makes the model's folder, in the environment of that name.
    export: str = ""
    options: dict[str, Any] = field(default_factory=dict)
    #: Runs a process of one thread for each core; the others run as many threads as there are cores.
    pool: bool = False

    @property
    def adapter_path(self) -> Path:
        """The adapter's file."""
        return _HERE / "adapters" / f"{self.adapter}.py"


ONNX = Environment("onnx", ("sentence-transformers[onnx]==5.7.0", _TORCH))
OPENVINO = Environment("openvino", ("sentence-transformers[openvino]==6.2.0", _TORCH))
FASTEMBED = Environment("fastembed", ("fastembed==0.9.1",))
#: It asks for NumPy 1, which later versions of pyarrow refuse.
INFINITY = Environment("infinity", ("infinity-emb[torch]==0.0.78", _TORCH, "pyarrow==19.0.1"))
RAY = Environment("ray", ("ray[data]==2.60.0", "sentence-transformers==6.2.0", _TORCH))
#: In which environment an export is made.
EXPORTERS = {"onnx": ONNX, "openvino": OPENVINO}


def _onnx(file: str) -> dict[str, Any]:
    return {"backend": "onnx", "model_kwargs": {"file_name": f"onnx/{file}", "provider": "CPUExecutionProvider"}}


def _openvino(file: str, precision: str) -> dict[str, Any]:
    # Without a hint it computes in bfloat16 where the CPU has it; the hint is given all the same, so that it is known.
    hints = {"INFERENCE_PRECISION_HINT": precision}
    return {"backend": "openvino", "model_kwargs": {"file_name": f"openvino/{file}", "ov_config": hints}}


#: The line that ratios are against.
BASELINE = "sentence-transformers"
VECMILL = tuple(
    Peer(f"Vecmill {dtype}", precision, "", options={"dtype": dtype})
    for dtype, precision in (("float32", "float32"), ("auto", "bfloat16"), ("int8", "int8"))
)
PEERS = (
    *VECMILL,
    Peer(BASELINE, "float32", "encode"),
    Peer(f"{BASELINE}, bfloat16", "bfloat16", "encode", options={"dtype": "bfloat16"}),
    Peer(f"{BASELINE}, process pool", "float32", "pool", pool=True),
    Peer("ONNX", "float32", "encode", ONNX, "onnx", _onnx("model.onnx")),
    Peer("ONNX, int8", "int8", "encode", ONNX, "onnx", _onnx("model_qint8_avx512_vnni.onnx")),
    Peer("OpenVINO", "float32", "encode", OPENVINO, "openvino", _openvino("openvino_model.xml", "f32")),
    Peer("OpenVINO, bfloat16", "bfloat16", "encode", OPENVINO, "openvino", _openvino("openvino_model.xml", "bf16")),
    Peer("OpenVINO, int8", "int8", "encode", OPENVINO, "openvino", _openvino("openvino_model_int8.xml", "bf16")),
    Peer("fastembed", "float32", "fast", FASTEMBED, "onnx"),
    Peer("infinity", "float32", "infinity", INFINITY),
    Peer("Ray Data", "float32", "ray_data", RAY, pool=True),
    Peer("Transformers loop", "float32", "loop"),
)
