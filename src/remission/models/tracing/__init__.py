"""What a network is made of, found without knowing its code or the names of its layers.

Methods need to know five things of a model, which may be somebody's own: where its feature map ends
and its head begins, which channels can change places together, where the map of each resolution
passes, which convolution feeds which batch norm, and whether it has batch norms and convolutions at
all. There are three means to find out; each tells more than the one before and works for fewer
networks.

1. **The layers alone**, by their types (``structure.py``: ``batch_norms``, ``traits``,
   ``check_needs``). This works for every network and costs nothing. It says which layers there are,
   but not in which order they are used.
2. **One forward pass**, watched by hooks: ``normalised_convolutions`` in ``structure.py``, and
   ``maps.py``, which also watches every operation of torch. This works for every network that runs,
   whatever its code does, and shows which value goes where: the same tensor comes out of one layer
   and goes into another. It says nothing about passes that take other branches, and gives no
   function that starts in the middle.
3. **The graph** that ``torch.fx`` traces from the forward pass, with the shape of every value
   (``cut.py``: ``traced``). Its operations can be run in two parts and followed one by one:
   ``cut.py`` cuts the network into features and head, ``adapter.py`` makes a classifier of the two,
   ``channels.py`` follows channels through sums and concatenations, and ``permutation.py`` reorders
   them. It fails where the code of the forward pass branches on what flows through it. Channels
   that reach an operation which is not in its lists keep their places.
   Networks with ``forward_features`` and ``forward_head``, as timm's have, need no graph to be cut:
   these two methods are the cut.

Changes in place, which the graph does not see, are found by comparing the whole with its two parts
(``adapter.py``). Shapes are computed on the meta device, where tensors have no values.
"""
