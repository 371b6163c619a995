"""From hidden states to what is kept of each token: the LM head in float32 over some positions at a time.

Logits of a whole batch never exist. What is taken of a chunk of them is taken in pieces that a cache holds.
"""

from typing import Any

import torch

from preceptor.compute.load import ModelError

# Numbers in a chunk of logits (128 MiB in float32), and in a piece of it that statistics are taken of. A CPU
# reads the whole head for each chunk, so small ones cost; its caches want small pieces.
LOGITS_AT_ONCE = 2**25
PIECE_ON_CPU = 2**20


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
        vocabulary = self.weight.shape[0]
        self.positions_at_once = max(1, LOGITS_AT_ONCE // vocabulary)
        on_cpu = self.weight.device.type == "cpu"
        self.positions_a_piece = max(1, PIECE_ON_CPU // vocabulary) if on_cpu else self.positions_at_once

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
            pieces = self.logits(hidden[chunk]).split(self.positions_a_piece)
            asked = targets[chunk].split(self.positions_a_piece)
            parts = [token_statistics(*piece) for piece in zip(pieces, asked, strict=True)]
            found[chunk] = torch.cat(parts)
        return found


def token_statistics(logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """(positions, 5) in float64: surprisal, probability, rank, entropy, squared norm of the distribution.

    logits (positions, vocabulary) in float32, targets (positions,). Rank is 1 + tokens strictly likelier.
    """
    target = logits.gather(1, targets.unsqueeze(1))
    top = logits.amax(1, keepdim=True)
    rank = 1 + (logits > target).sum(1, dtype=torch.int32)
    weights = (logits - top).exp_()  # unnormalised probabilities
    total = weights.sum(1).double()
    log_norm = top.squeeze(1).double() + total.log()
    surprisal = log_norm - target.squeeze(1).double()
    entropy = log_norm - torch.linalg.vecdot(weights, logits).double() / total
    squared = torch.linalg.vector_norm(weights, dim=1).double().square() / total.square()
    return torch.stack([surprisal, (-surprisal).exp(), rank.double(), entropy, squared], dim=1)
