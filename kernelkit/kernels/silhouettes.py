"""The mean silhouette of every cut of a tree of clusters, as one goes up it (rule I23).

A row's nearest other cluster is kept, and looked for again only where a merger may have taken it away: of n rows that
takes about n^2 log n, where every cut by itself would take n^3.
"""

TYPES = "void(int64, int64, float64[:, ::1], Array(float64, 2, 'C', readonly=True), int64[::1], float64[::1], "
TYPES += "int64[::1], int64[::1], int64[::1], float64[::1], float64[::1])"


def look(row, mine, sums, sizes, alive, n_alive):
    """The cluster with the smallest mean distance to a row that is not its own, -1 for none."""
    best, whose = float("inf"), -1
    for k in range(n_alive):
        c = alive[k]
        if c != mine and sums[row, c] / sizes[c] < best:
            best, whose = sums[row, c] / sizes[c], c
    return whose


def mean_silhouette(sums, sizes, own, near):
    """I23, of all rows; 0 of those that are alone, and of those at no distance."""
    total = 0.0
    for i in range(len(own)):
        size = sizes[own[i]]
        if size > 1.0:
            within = sums[i, own[i]] / (size - 1.0)
            nearest = sums[i, near[i]] / sizes[near[i]]
            scale = max(within, nearest)
            if scale > 0.0:
                total += (nearest - within) / scale
    return total / len(own)


def up_the_tree(first, end, sums, tree, slots, sizes, own, near, alive, room, out):
    """Mergers first..end - 1 of n - 2: fill `out`, by number of clusters, from 2 to n - 1.

    sums (row, cluster): at first the distances, which they overwrite; tree (merger, 4) is that of scipy, of which
    cluster n + k is the k-th merger's; it lives on in the slot of its first part: slots (cluster of the tree). sizes,
    alive (slot), own, near (row), room (row).
    """
    n = len(own)
    if first == 0:
        for i in range(n):
            slots[i] = own[i] = alive[i] = i
            sizes[i] = 1.0
        for i in range(n):
            near[i] = look(i, i, sums, sizes, alive, n)
    for step in range(first, end):
        a, b = slots[int(tree[step, 0])], slots[int(tree[step, 1])]
        slots[n + step] = a
        n_alive = n - step - 1
        k = 0
        while alive[k] != b:
            k += 1
        alive[k] = alive[n_alive]
        for i in range(n):  # how far the nearest was
            room[i] = sums[i, near[i]] / sizes[near[i]]
        sizes[a] += sizes[b]
        for i in range(n):
            sums[i, a] += sums[i, b]
            if own[i] == b:
                own[i] = a
            gone = near[i] == a or near[i] == b
            if own[i] == a:
                if gone:
                    near[i] = look(i, a, sums, sizes, alive, n_alive)
            elif sums[i, a] / sizes[a] <= room[i]:
                near[i] = a
            elif gone:
                near[i] = look(i, own[i], sums, sizes, alive, n_alive)
        out[n_alive] = mean_silhouette(sums, sizes, own, near)
