"""Token statistics from hidden states. The LM head runs in float32, one piece of the vocabulary at a time.

A batch's full logits are never stored. Running sums are updated from each piece, as in FlashAttention's
softmax. A piece stays in the CPU's cache while it is used, and the head is read once for many positions.
"""

from collections.abc import Iterable
from typing import Any

import torch

from preceptor.compute.load import ModelError

POSITIONS_AT_ONCE = 2048
# Bound on how much a dot product differs between matrix shapes, relative to the two norms. The largest
# difference seen on CPUs was 4.4 epsilons, at widths of 16 to 2048.
ROUNDING = 8 * torch.finfo(torch.float32).eps
# Logits in a piece: what fits in a CPU's cache (2 MiB in float32). A GPU is faster with few large kernels.
LOGITS_ON_CPU, LOGITS_ON_GPU = 2**19, 2**26


class Head:
    """The output embedding of a causal language model, with its family's scaling of logits."""

    def __init__(self, model: Any) -> None:
        config = model.config.get_text_config().to_dict()
        embedding = model.get_output_embeddings()
        if embedding is None:
            raise ModelError(f"{config['model_type']}: the model has no output embedding to score with")
        self.weight, bias = embedding.weight.detach(), embedding.bias
        self.bias = None if bias is None else bias.detach().float()
        self.logits_at_once = LOGITS_ON_GPU
        if self.weight.device.type == "cpu":
            self.weight = self.weight.float()  # converted once; a GPU multiplies 16 bits into float32
            self.logits_at_once = LOGITS_ON_CPU
        # Gemma-2 caps its logits, Cohere multiplies them, Granite divides them.
        self.cap: float | None = config.get("final_logit_softcapping")
        self.scale = float(config.get("logit_scale") or 1.0) / float(config.get("logits_scaling") or 1.0)

    def logits(self, hidden: torch.Tensor, tokens: slice = slice(None)) -> torch.Tensor:
        """Logits for a slice of the vocabulary: (positions, tokens), always in float32."""
        weight = self.weight[tokens].T
        if hidden.dtype != torch.float32 and hidden.device.type == "cuda":
            products = torch.mm(hidden, weight, out_dtype=torch.float32)
        else:
            products = hidden.float() @ weight
        return self._scaled(products, None if self.bias is None else self.bias[tokens])

    def statistics(self, hidden: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """`token_statistics` of each position's target, computed in chunks of positions."""
        found = torch.empty((len(targets), 5), dtype=torch.float64, device=hidden.device)
        for start in range(0, len(targets), POSITIONS_AT_ONCE):
            chunk = slice(start, start + POSITIONS_AT_ONCE)
            bar = self._bar(hidden[chunk], targets[chunk])
            found[chunk] = token_statistics(self._pieces(hidden[chunk]), targets[chunk], bar)
        return found

    def _pieces(self, hidden: torch.Tensor) -> Iterable[torch.Tensor]:
        step = max(1, self.logits_at_once // len(hidden))
        return (self.logits(hidden, slice(n, n + step)) for n in range(0, len(self.weight), step))

    def _bar(self, hidden: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """The value that a logit must exceed to rank above the target's, rounding included."""
        hidden, weight = hidden.float(), self.weight[targets].float()
        logits = torch.linalg.vecdot(hidden, weight)
        norms = torch.linalg.vector_norm(hidden, dim=1) * torch.linalg.vector_norm(weight, dim=1)
        bias = None if self.bias is None else self.bias[targets]
        if bias is not None:
            norms += bias.abs()
        bar: torch.Tensor = self._scaled(logits, bias) + ROUNDING * abs(self.scale) * norms
        return bar

    def _scaled(self, products: torch.Tensor, bias: torch.Tensor | None) -> torch.Tensor:
        if bias is not None:
            products += bias
        if self.scale != 1.0:
            products *= self.scale
        if self.cap is not None:
            products = products.div_(self.cap).tanh_().mul_(self.cap)
        return products


def token_statistics(
    pieces: Iterable[torch.Tensor], targets: torch.Tensor, bar: torch.Tensor
) -> torch.Tensor:
    """(positions, 5) in float64: surprisal, probability, rank, entropy, squared norm of the distribution.

    pieces: logits in float32, (positions, some tokens), that together cover the vocabulary in order;
    targets: (positions,). Rank is 1 + the number of other tokens whose logit is above `bar` (positions,).
    """
    top = torch.full((len(targets), 1), -torch.inf, device=targets.device)  # the largest logit so far
    target = torch.empty_like(top)
    # Running sums of exp(logit - top), of exp(logit - top) times the logit, and of its square.
    total, weighted, squared, rank = torch.zeros((4, len(targets)), dtype=torch.float64, device=top.device)
    columns = targets.unsqueeze(1).clone()  # the target's column, counted from the current piece's start
    for logits in pieces:
        own = logits.gather(1, columns.clamp(0, logits.shape[1] - 1))
        here = (columns >= 0) & (columns < logits.shape[1])
        target = torch.where(here, own, target)
        above = logits > bar.unsqueeze(1)
        rank = rank + above.sum(1, dtype=torch.int32) - (here & (own > bar.unsqueeze(1))).squeeze(1).int()
        highest = torch.maximum(top, logits.amax(1, keepdim=True))
        shrink = (top - highest).exp_().squeeze(1).double()
        weights = (logits - highest).exp_()
        total = total * shrink + weights.sum(1)
        weighted = weighted * shrink + torch.linalg.vecdot(weights, logits)
        squared = squared * shrink.square() + torch.linalg.vector_norm(weights, dim=1).double().square()
        top = highest
        columns -= logits.shape[1]
    log_norm = top.squeeze(1).double() + total.log()
    surprisal = log_norm - target.squeeze(1).double()
    return torch.stack(
        [surprisal, (-surprisal).exp(), 1 + rank, log_norm - weighted / total, squared / total.square()],
        dim=1,
    )
