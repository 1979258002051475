"""portnn in a loop of one's own, around `portnn.jit(portnn.value_and_grad(loss))`."""

from __future__ import annotations

from typing import Any

from tests.benchmarks.contenders._base import LEARNING_RATE, Contender, Order, Task, UnavailableError
from tests.benchmarks.contenders._portnn import make_network


class PortnnJit(Contender):
    """Gather, compiled value and gradient, update: three lines of a user's loop."""

    slug = "portnn-jit"
    title = "portnn, own loop"
    packages = ("portnn", "threadpoolctl")
    devices = ("cpu", "gpu")

    def prepare(self, task: Task) -> None:
        import portnn as pn

        if not hasattr(pn, "jit"):
            raise UnavailableError("portnn.jit, which this version does not have")
        self.pn, net = pn, make_network(pn, task, self.device)
        self.backend, self.params = net.backend, net.params
        self.images, self.labels = map(net.backend.asarray, (task.images, task.labels))
        self.sgd = pn.optim.sgd(LEARNING_RATE)
        self.moments = self.sgd.init(self.params)

        def objective(params: Any, x: Any, y: Any) -> Any:
            return pn.losses.softmax_cross_entropy(net.layer.apply(params, x), y)

        self.differentiate = pn.jit(pn.value_and_grad(objective))

    def step(self, x: Any, y: Any) -> Any:
        """One step; the loss."""
        loss, grads = self.differentiate(self.params, x, y)
        updates, self.moments = self.sgd.update(grads, self.moments, self.params)
        self.params = self.pn.optim.apply_updates(self.params, updates)
        return loss

    def run(self, order: Order) -> float:
        if order.indices is None:
            losses = [self.step(self.images, self.labels) for _ in range(order.count)]
        else:
            take = self.pn.ops.take
            losses = [
                self.step(take(self.images, rows, axis=0), take(self.labels, rows, axis=0))
                for rows in self.backend.asarray(order.indices)
            ]
        return float(self.pn.ops.mean(self.pn.ops.stack(losses)))

    def synchronize(self) -> None:
        self.backend.synchronize()
