"""The assignment problem: each row of a matrix gets a column of its own at the lowest total cost.

Shortest augmenting paths, as Crouse gives them (IEEE Transactions on Aerospace and Electronic
Systems 2016). Among equal costs it chooses as scipy's ``linear_sum_assignment`` does, and adds in
its order, so that both return the same assignment. Scipy would be the largest package to install
beside torch, for this function alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

_NOBODY = -1


def assign(cost: NDArray[np.float64]) -> NDArray[np.int64]:
    """Returns the column of each row, so that the sum of their costs is the lowest.

    Args:
        cost: (n, n), finite.

    Returns:
        A permutation of the columns, (n,) int64.
    """
    size = len(cost)
    row_price, column_price = np.zeros(size), np.zeros(size)
    column_of, row_of = (np.full(size, _NOBODY, dtype=np.int64) for _ in range(2))
    for row in range(size):
        reached, before, rows, columns, lowest = _shortest(
            cost, row, row_price, column_price, row_of
        )
        row_price[row] += lowest
        others = rows[1:]  # the first one is the row that is assigned
        row_price[others] += lowest - reached[column_of[others]]
        column_price[columns] -= lowest - reached[columns]
        column = columns[-1]
        while True:  # each row on the path takes the next column
            owner = int(before[column])
            row_of[column] = owner
            column_of[owner], column = column, int(column_of[owner])
            if owner == row:
                break
    return column_of


def _shortest(
    cost: NDArray[np.float64],
    row: int,
    row_price: NDArray[np.float64],
    column_price: NDArray[np.float64],
    row_of: NDArray[np.int64],
) -> tuple[NDArray[np.float64], NDArray[np.int64], list[int], list[int], float]:
    """Searches the shortest path from a row to a column that nobody has.

    Returns:
        The length of the path to each column; the row before each column; the rows and the columns
        that were passed, of which the last column ends the path; the length of the whole path.
    """
    size = len(cost)
    reached, before = np.full(size, np.inf), np.full(size, _NOBODY, dtype=np.int64)
    left = np.arange(size)[::-1].copy()  # so that equal costs everywhere give the identity
    rows, columns, lowest = [row], list[int](), 0.0
    for count in range(size, 0, -1):
        among = left[:count]
        lengths = lowest + cost[row, among] - row_price[row] - column_price[among]
        shorter = lengths < reached[among]
        reached[among[shorter]], before[among[shorter]] = lengths[shorter], row
        lengths = reached[among]
        lowest = float(lengths.min())
        nearest = np.flatnonzero(lengths == lowest)
        free = nearest[row_of[among[nearest]] == _NOBODY]
        index = free[-1] if len(free) else nearest[0]
        column = int(among[index])
        columns.append(column)
        if row_of[column] == _NOBODY:
            break
        row = int(row_of[column])
        rows.append(row)
        left[index] = left[count - 1]
    return reached, before, rows, columns, lowest
