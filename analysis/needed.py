"""How many attempts are needed for so many effects, with so much certainty.

Belongs here: the number and its method. Does not belong here: the rates it starts from.
"""

import numpy as np
from scipy.special import betaln

from analysis.intervals import Floats

# Beyond this nobody can try.
MOST = 10_000_000


def needed(effects: int, certainty: float, successes: Floats, failures: Floats) -> Floats:
    """The fewest attempts N that give at least `effects` with probability `certainty`, per cell.

    The rate of a cell is beta distributed with parameters `successes` and `failures` (of Jeffreys'
    posterior: k + 1/2 and n - k + 1/2), so that what comes of N attempts is beta-binomial: the
    rate's own uncertainty is part of the answer. Parameters of shape (nodes, cells) are mixtures of
    equally likely nodes. nan where more than MOST are needed, or a parameter is.
    """
    a, b = np.atleast_2d(successes).astype(float), np.atleast_2d(failures).astype(float)
    answer = np.full(a.shape[1], np.nan)
    cells = np.flatnonzero(np.isfinite(a).all(axis=0) & np.isfinite(b).all(axis=0))
    a, b = a[:, cells], b[:, cells]
    too_few = np.full(len(cells), effects - 1)
    enough = np.full(len(cells), effects)
    while True:
        is_short = _probability(effects, enough, a, b) < certainty
        is_short &= enough < MOST
        if not is_short.any():
            break
        too_few = np.where(is_short, enough, too_few)
        enough = np.where(is_short, np.minimum(enough * 2, MOST), enough)
    while (enough - too_few > 1).any():
        middle = (too_few + enough) // 2
        is_enough = _probability(effects, middle, a, b) >= certainty
        enough = np.where(is_enough, middle, enough)
        too_few = np.where(is_enough, too_few, middle)
    reached = _probability(effects, enough, a, b) >= certainty
    answer[cells] = np.where(reached, enough, np.nan)
    return answer


def _probability(effects: int, attempts: Floats, a: Floats, b: Floats) -> Floats:
    """That `attempts` of a cell give at least `effects`: 1 less the first terms of the mass, each
    from the one before.
    """
    n = attempts.astype(float)
    mass = np.exp(betaln(a, b + n) - betaln(a, b))
    fewer = mass.copy()
    for x in range(effects - 1):
        mass *= np.maximum(n - x, 0) * (x + a) / ((x + 1) * np.maximum(n - x - 1 + b, 0.1))
        fewer += mass
    return np.asarray(1 - fewer.mean(axis=0))
