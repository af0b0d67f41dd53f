"""A search on a Dask cluster: here one of two workers on the loopback address of this machine.

Run: python examples/dask_cluster.py
Needs pip install "prunelimits[dask]". On real machines only the address differs: start `dask
scheduler` and `dask worker tcp://HOST:8786`, and give `Client("tcp://HOST:8786")`.
"""

import argparse

from distributed import Client, LocalCluster

import prunelimits as pl
from prunelimits.search import SearchConfig, combinatorial_search


def main() -> None:
    """The same search here and on the cluster, which must find the same."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--points", type=int, default=2_000)
    options = parser.parse_args()

    x, y = pl.datasets.cubist_spiral(options.points)
    recipes = (pl.Recipe(epochs=options.epochs, lr=0.1),)
    config = SearchConfig(target=0.7, widths=(2, 3, 2, 1), recipes=recipes, shard_size=16)
    with (
        LocalCluster(
            n_workers=2, threads_per_worker=1, host="127.0.0.1", dashboard_address=None
        ) as cluster,
        Client(cluster) as client,
    ):
        print(f"{len(client.scheduler_info()['workers'])} workers at {cluster.scheduler_address}")
        result = combinatorial_search(config, x, y, executor=client.get_executor(), in_flight=4)
    alone = combinatorial_search(config, x, y)
    print("nonzeros   best on the cluster   best alone")
    for there, here in zip(result.best, alone.best, strict=True):
        print(f"{there.nonzeros:8} {there.accuracy:21.2%} {here.accuracy:12.2%}")
    same = result.phases == alone.phases
    print(f"{result.phases[0].trained} trainings; the same to the last one: {same}")


# Workers are processes that import this file: nothing may start when they do.
if __name__ == "__main__":
    main()
