"""The native part of the package; everything else is in pyproject.toml."""

from setuptools import Extension, setup

SOURCES = ["engine", "model", "packing", "forward", "threads", "json", "weights_file", "weights_writer", "packed_model",
           "sampler", "generate", "kernels_portable", "kernels_avx2", "kernels_avx512"]
HEADERS = ["engine.h", "failure.h", "json.h", "weights_file.h", "packed_model.h", "sampler.h", "sampler_body.h",
           "generate.h", "model.h", "packing.h", "threads.h", "kernels.h", "kernels_body.h", "attend_body.h"]

SOURCES += ["bandwidth", "peaks"]  # what the machine can do: nimllm bench
HEADERS += ["limits.h", "limits_threads.h"]

TRAIN_SOURCES = ["train/parallel", "threads", "train/passes", "train/loss", "train/optimizer"]
TRAIN_HEADERS = ["train/parallel.h", "threads.h", "kernels.h", "train/passes.h", "train/passes_body.h"]
TRAIN_SOURCES += ["train/attention", "train/rows", "train/ops_portable", "train/ops_avx2", "train/ops_avx512"]
TRAIN_HEADERS += ["train/ops.h", "train/lanes.h", "train/ops_body.h", "train/products_body.h", "train/attention_body.h",
                  "train/norms_body.h", "train/rotary_body.h", "train/activations_body.h"]
FLAGS = ["-O3", "-std=c++17", "-pthread", "-fvisibility=hidden", "-Wno-psabi", "-g0"]

# Plain C libraries loaded with ctypes: they neither include nor link Python. No -march: one file runs on every x86-64,
# the processor is asked at run time. Optional: without a compiler the package installs and decodes with torch.
setup(
    ext_modules=[
        Extension(
            "nimllm.kernels._engine",
            [f"kernels/csrc/{name}.cpp" for name in SOURCES],
            depends=[f"kernels/csrc/{name}" for name in HEADERS],
            language="c++",
            extra_compile_args=FLAGS,
            extra_link_args=["-pthread"],
            optional=True,
        ),
        Extension(
            "nimllm.kernels._train",
            [f"kernels/csrc/{name}.cpp" for name in TRAIN_SOURCES],
            depends=[f"kernels/csrc/{name}" for name in TRAIN_HEADERS],
            language="c++",
            extra_compile_args=[*FLAGS, "-fopenmp-simd", "-fno-math-errno"],
            extra_link_args=["-pthread"],
            optional=True,
        ),
    ]
)
