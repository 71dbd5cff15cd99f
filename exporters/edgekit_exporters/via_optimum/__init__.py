"""`edgekit export --via optimum`: encoders and classifiers of architectures that EdgeKit does not write itself.

transformers and torch run in a process of their own (`trace.py`), OpenVINO's converter in another (`convert.py`). What
they leave is brought into the form that our runtimes know (`graph.py`), compared with what the checkpoint itself
computes, and written as any bundle (`export.py`).
"""
