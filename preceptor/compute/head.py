"""From hidden states to what is kept of each token: the LM head in float32 over some positions at a time.

Logits of a whole text never exist. Held at once are one chunk's logits and one array of the same size.
"""

from typing import Any

import torch

from preceptor.compute.load import ModelError

LOGITS_ON_CPU = 2**24  # numbers a chunk: 64 MiB in float32, about what caches and two cores like
LOGITS_ON_GPU = 2**28


class Head:
    """The output embedding of a causal language model, with the scaling that its family adds."""

    def __init__(self, model: Any) -> None:
        config = model.config.get_text_config().to_dict()
        embedding = model.get_output_embeddings()
        if embedding is None:
            raise ModelError(f"{config['model_type']}: the model has no output embedding to score with")
        self.weight, self.bias = embedding.weight.detach(), embedding.bias
        if self.weight.device.type == "cpu":
            self.weight = self.weight.float()  # once: a GPU multiplies into float32 as it is
        # Gemma-2 caps its logits, Cohere multiplies them, Granite divides them.
        self.cap: float | None = config.get("final_logit_softcapping")
        self.scale = float(config.get("logit_scale") or 1.0) / float(config.get("logits_scaling") or 1.0)
        at_once = LOGITS_ON_CPU if self.weight.device.type == "cpu" else LOGITS_ON_GPU
        self.positions_at_once = max(1, at_once // self.weight.shape[0])

    def logits(self, hidden: torch.Tensor) -> torch.Tensor:
        """(positions, vocabulary) in float32, whatever the weights' type."""
        logits: torch.Tensor
        if hidden.dtype != torch.float32 and hidden.device.type == "cuda":
            logits = torch.mm(hidden, self.weight.T, out_dtype=torch.float32)
        else:
            logits = hidden.float() @ self.weight.T
        if self.bias is not None:
            logits += self.bias
        if self.scale != 1.0:
            logits *= self.scale
        if self.cap is not None:
            logits = logits.div_(self.cap).tanh_().mul_(self.cap)
        return logits

    def statistics(self, hidden: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """What `token_statistics` gives for each position's target, over chunks of positions."""
        found = torch.empty((len(targets), 5), dtype=torch.float64, device=hidden.device)
        step = self.positions_at_once
        for start in range(0, len(targets), step):
            chunk = slice(start, start + step)
            found[chunk] = token_statistics(self.logits(hidden[chunk]), targets[chunk])
        return found


def token_statistics(logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """(positions, 5) in float64: surprisal, probability, rank, entropy, squared norm of the distribution.

    logits (positions, vocabulary) in float32, targets (positions,). Rank is 1 + tokens strictly likelier.
    """
    target = logits.gather(1, targets.unsqueeze(1))
    top = logits.amax(1, keepdim=True)
    rank = 1 + (logits > target).sum(1)
    weights = (logits - top).exp_()  # unnormalised probabilities, the one array besides the logits
    total = weights.sum(1).double()
    log_norm = top.squeeze(1).double() + total.log()
    surprisal = log_norm - target.squeeze(1).double()
    entropy = log_norm - _dot(weights, logits) / total
    squared = _dot(weights, weights) / total.square()
    return torch.stack([surprisal, (-surprisal).exp(), rank.double(), entropy, squared], dim=1)


def _dot(left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
    """Row by row, without an array of the products."""
    return torch.bmm(left.unsqueeze(1), right.unsqueeze(2)).flatten().double()
