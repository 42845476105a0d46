"""The lab: data set on disk → manifest → train → evaluate → export a bundle.

The only place that may import torch.
"""
