# SPDX-License-Identifier: BSD-3-Clause
"""Every GPU kernel: what it does, what proves it, what it takes of a chip.

``python -m bench.kernel_tables`` writes the tables in docs/gpu.md and docs/cuda.md anew, from the figures that
``make cuda`` and ``python -m bench.triton_resources`` keep in bench/results.
"""

from __future__ import annotations

from dataclasses import dataclass

from . import cuda_resources, document, triton_resources


@dataclass(frozen=True)
class About:
    """A kernel in words.

    Attributes:
        does: What it computes.
        proof: The tests that run it alone, and beside others, by name.
        moved: Bytes through memory over their floor, of CUDA's kernels.
        shared: Bytes of shared memory of a block in single precision, of CUDA's kernels, whose shapes decide.
    """

    does: str
    proof: tuple[str, ...]
    moved: str = ""
    shared: str = ""


ROUTES = "triton/test_routes.py"
ALONE = "triton/test_kernels.py"
TRITON = {
    "analyse_direct": About("values at positions to a spectrum, by one table", (f"{ALONE}::test_maps", ROUTES)),
    "synthesise_direct": About("a spectrum to values, plus the bias", (f"{ALONE}::test_maps", ROUTES)),
    "analyse_factored": About(
        "the same by a table per axis; series in two stages",
        (f"{ALONE}::test_maps", f"{ALONE}::test_series_in_two_stages", ROUTES),
    ),
    "synthesise_factored": About("and back", (f"{ALONE}::test_maps", f"{ALONE}::test_series_in_two_stages", ROUTES)),
    "product_matrix": About("complex matrix products, frequency by frequency", (f"{ALONE}::test_products", ROUTES)),
    "product_pointwise": About("the same of a few channels", (f"{ALONE}::test_products", ROUTES)),
    "mix": About("taps of a mixture; taps to their places", (f"{ALONE}::test_mixing", ROUTES)),
    "mix_gradients": About("both gradients of mixing, stage 1", (f"{ALONE}::test_mixing", ROUTES)),
    "sum_candidates": About("stage 2: the mixture's gradient", (f"{ALONE}::test_mixing",)),
}

KERNELS = "test_cuda_kernels.py"
TRANSFORMS = f"{KERNELS}::test_transforms", f"{KERNELS}::test_depthwise_layers_of_the_tasks"
CUDA = {
    "DepthwiseSpectrum": About(
        "taps to their spectrum on the circle N1·N2", TRANSFORMS, "writes 8·C·N1·N2, once a call", "128·N1"
    ),
    "DepthwiseMaps": About("forward; input gradient", TRANSFORMS, "1 + 8·N1·N2/(4·B·(n + m))", "8·(P·rows·N2 + c·N1)"),
    "DepthwiseWeights": About(
        "weight gradient, stage 1",
        (*TRANSFORMS, f"{KERNELS}::test_large_maps"),
        "windows + parts·4·C·T/floor",
        "below 160 KiB",
    ),
    "DirectMaps": About(
        "forward; input gradient",
        (f"{KERNELS}::test_direct_sums", "test_cuda_engine.py::test_more_than_two_to_the_31_numbers"),
        "source read ⌈results/8⌉ times, mostly from L2",
        "4.4 KiB (one result 0.9)",
    ),
    "DirectWeights": About(
        "weight gradient, stage 1",
        (f"{KERNELS}::test_direct_sums", "test_cuda_engine.py::test_more_than_two_to_the_31_numbers"),
        "gradient read `ins` times, x ⌈outs/4⌉ times, mostly from L2",
        "16 KiB + 16·T (one result 10 KiB + 4·T)",
    ),
    "SumParts": About("stage 2 of all sums", (KERNELS,), "reads parts·results", "none"),
    "MixTaps": About("taps of a mixture", (f"{KERNELS}::test_mixing_and_its_adjoints",), "1", "none"),
    "GatherTaps": About("its adjoint in the weights", (f"{KERNELS}::test_mixing_and_its_adjoints",), "1", "none"),
    "MixtureGrad": About(
        "its adjoint in the mixture, stage 1",
        (f"{KERNELS}::test_mixing_and_its_adjoints", f"{KERNELS}::test_a_mixture_of_many_rows_is_summed_exactly"),
        "1",
        "none",
    ),
}


def triton_table() -> str:
    """A line per kernel and dtype; of several variants the larger figures."""
    rows = triton_resources.read()
    lines = []
    for name, about in TRITON.items():
        for dtype in ("float32", "float64"):
            cells = [f"`{name}`", about.does, proof(about)] if dtype == "float32" else ["", "", ""]
            cells.append(dtype)
            for target in triton_resources.TARGETS:
                some = [row for row in rows if (row.kernel, row.dtype, row.target) == (name, dtype, target)]
                registers, shared = (max(getattr(row, what) for row in some) for what in ("registers", "shared"))
                assert not any(row.spilled for row in some)
                cells.append(f"{registers}, {shared / 1024:.1f}")
            lines.append(cells)
    return document.table(["kernel", "does", "proven by", "of", *triton_resources.TARGETS], lines)


def cuda_table() -> str:
    """A line per kernel; registers in single precision, those of the variants one behind the other."""
    chips = ("sm_80", "sm_90", "sm_100")
    found = {(row.kernel, row.architecture): row for row in cuda_resources.read()}
    lines = []
    for name, about in CUDA.items():
        variants = sorted({kernel for kernel, _ in found if kernel.startswith(f"{name}<float")})
        registers = "; ".join(" / ".join(str(found[one, chip].registers) for chip in chips) for one in variants)
        lines.append([f"`{name}`", about.does, proof(about), about.moved, registers, about.shared])
    head = ["kernel", "does", "proven by", "bytes moved ÷ floor", f"registers: {' / '.join(chips)}"]
    return document.table([*head, "shared memory of a block"], lines)


def proof(about: About) -> str:
    """The tests, by their names alone."""
    return ", ".join(f"`{name.split('::')[-1]}`" for name in about.proof)


def main() -> None:
    document.replace(document.GPU, "kernels", triton_table())
    document.replace(document.CUDA, "kernels", cuda_table())


if __name__ == "__main__":
    main()
