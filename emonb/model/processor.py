"""What the processor does in hardware."""

import torch


def multiplies_bfloat16() -> bool:
    """Tell whether the processor multiplies bfloat16, and PyTorch and oneDNN may let it do so."""
    vectors = torch.backends.cpu.get_cpu_capability().startswith("AVX512")
    products: bool = torch.cpu.get_capabilities().get("avx512_bf16", False)
    return vectors and products and bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())
