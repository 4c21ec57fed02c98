"""Linear layers with their weights in oneDNN's own layout. Knows no network."""

import torch
from torch import Tensor, nn

#: For how many rows weights are laid out: a batch on a CPU has about as many tokens.
_ROWS = 2048


class PackedLinear(nn.Module):
    """`nn.Linear` with its weight in oneDNN's own layout."""

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__()
        self.in_features, self.out_features, self.bias = linear.in_features, linear.out_features, linear.bias
        #: Opaque but for its dtype, which some networks look at.
        self.weight = torch.ops.mkldnn._reorder_linear_weight(linear.weight.detach(), _ROWS)

    def forward(self, states: Tensor) -> Tensor:
        """[..., in] to [..., out]."""
        output: Tensor = torch.ops.mkldnn._linear_pointwise(states, self.weight, self.bias, "none", [], "")
        return output
