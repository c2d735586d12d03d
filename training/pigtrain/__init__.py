"""Makes PigWeight's starter detector: from start weights and pictures with a clear licence to an ONNX file."""
