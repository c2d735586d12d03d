"""Times ONNX models on one core: python -m pigtrain.speed FILE...

They run in turns, so that a machine that is busy for a while is busy for all; the figure is the median of CPU times.
"""

import argparse
import pathlib
import statistics
import time

import numpy
import onnxruntime

ROUNDS = 40


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="+", type=pathlib.Path)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    sessions = [onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"]) for path in parser.parse_args().models]
    times = {session: [] for session in sessions}
    for round_ in range(ROUNDS + 3):
        for session in sessions:
            entry = session.get_inputs()[0]
            picture = numpy.full(entry.shape, 0.5, "f4")
            began = time.process_time()
            session.run(None, {entry.name: picture})
            if round_ >= 3:
                times[session].append(time.process_time() - began)
    for path, session in zip(parser.parse_args().models, sessions):
        shape = session.get_inputs()[0].shape
        print(f"{path}: {1e3 * statistics.median(times[session]):.1f} ms at {shape[3]} x {shape[2]}, {path.stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
