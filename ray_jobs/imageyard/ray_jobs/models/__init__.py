"""Models and their runtimes; the only place, with the loader, that imports torch or ONNX Runtime."""
