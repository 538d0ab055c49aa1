"""Architectures as they are published for images of 224 pixels, which other packages name.

They compute what torchvision's, timm's and transformers' classes of these names compute in eval
mode. Depths and widths are arguments, since they are read from the shapes of somebody's weights.
Dropout and stochastic depth are left out, so that a training can be repeated.
"""
