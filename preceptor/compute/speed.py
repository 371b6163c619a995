"""Device use of scoring: operations, time in forward passes, peak memory."""

import re
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch

# Dense bfloat16 TFLOP/s from NVIDIA's data sheets, without sparsity. float32 is far slower.
PEAK_TFLOPS = {"H200": 989.0, "H100": 989.0, "A100": 312.0, "L40S": 362.0, "L4": 121.0, "B200": 2250.0}
GIB = 2**30


class Speed:
    """Counts operations of dense models: layers, attention and head. A multiply-add is two operations."""

    def __init__(self, model: Any, device: str) -> None:
        config = model.config.get_text_config()
        head = model.get_output_embeddings()
        matrices = [m.weight for m in model.modules() if isinstance(m, torch.nn.Linear) and m is not head]
        self.per_token = 2 * sum(weight.numel() for weight in matrices)
        self.per_scored = 0 if head is None else 2 * head.weight.numel()
        size = config.to_dict().get("head_dim") or config.hidden_size // config.num_attention_heads
        width = config.num_attention_heads * size
        self.per_pair = 4 * config.num_hidden_layers * width  # query · key, and weight · value
        self.half = model.dtype in (torch.bfloat16, torch.float16)
        self.device = device
        self.operations = 0.0
        self.seconds = 0.0
        self.tokens = 0
        if device.startswith("cuda"):
            torch.cuda.reset_peak_memory_stats(device)

    @contextmanager
    def passing(self, lengths: Sequence[int], scored: int) -> Iterator[None]:
        """Measure one forward pass of rows of these lengths. Read its results inside the block."""
        started = time.perf_counter()
        yield
        self.seconds += time.perf_counter() - started
        self.tokens += sum(lengths)
        self.operations += self.per_token * sum(lengths) + self.per_scored * scored
        self.operations += self.per_pair * sum(length * length / 2 for length in lengths)

    def facts(self) -> dict[str, int | float]:
        """Tokens/s in passes. On a GPU also TFLOP/s, peak memory, and in half precision MFU if known."""
        seconds = max(self.seconds, 1e-9)
        facts: dict[str, int | float] = {"tokens_per_second_in_passes": round(self.tokens / seconds, 1)}
        if self.device.startswith("cuda"):
            facts["teraflops_per_second"] = round(self.operations / seconds / 1e12, 3)
            facts["peak_memory_gib"] = round(torch.cuda.max_memory_allocated(self.device) / GIB, 2)
            words = re.split("[ -]", torch.cuda.get_device_name(self.device))
            peak = next((tflops for chip, tflops in PEAK_TFLOPS.items() if chip in words), None)
            if peak is not None and self.half and "PCIe" not in words:
                facts["mfu"] = round(self.operations / seconds / 1e12 / peak, 3)
        return facts
