"""Trains PigWeight's built-in detector: pretrained weights and openly licensed images in, an ONNX file out."""
