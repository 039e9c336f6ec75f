# SPDX-License-Identifier: Apache-2.0
"""usage: torch_ddp.py DATA RANK SIZE PORT: PyTorch, DistributedDataParallel over gloo where SIZE > 1.

One thread a rank; data in memory; a batch is a slice of it, which copies nothing; the fused Adam; gradients that are views of the buckets.
"""
import os
import sys
import time

import serve
import torch
from torch import nn


class Peer:
    def __init__(self, data, units, batch):
        torch.manual_seed(1)
        self.x, self.y = torch.from_numpy(data[0]), torch.from_numpy(data[1]).long()
        self.batch, self.step_count = batch, 0
        self.model = nn.Sequential(*self.layers(units))
        self.trained = self.model
        if SIZE > 1:
            self.trained = nn.parallel.DistributedDataParallel(self.model, gradient_as_bucket_view=True, static_graph=True)
        self.loss_function = nn.CrossEntropyLoss()
        self.optimizer = torch.optim.Adam(self.model.parameters(), lr=0.001, eps=1e-7, fused=True)

    @staticmethod
    def layers(units):
        widths = [serve.N_INPUTS, *units, serve.N_CLASSES]
        for i, (k, n) in enumerate(zip(widths, widths[1:])):
            dense = nn.Linear(k, n)
            nn.init.xavier_uniform_(dense.weight)
            nn.init.zeros_(dense.bias)
            yield dense
            if i < len(units):
                yield nn.ReLU()
                yield nn.Dropout(0.2)

    def step(self, steps):
        rows = self.batch // SIZE
        self.model.train()
        if SIZE > 1:
            torch.distributed.barrier()
        begin = time.perf_counter()
        for _ in range(steps):
            first = self.step_count * self.batch % serve.N_SAMPLES + RANK * rows
            self.optimizer.zero_grad(set_to_none=SIZE == 1)
            loss = self.loss_function(self.trained(self.x[first : first + rows]), self.y[first : first + rows])
            loss.backward()
            self.optimizer.step()
            self.step_count += 1
        return (time.perf_counter() - begin) / steps

    def loss(self):
        self.model.eval()
        with torch.no_grad():
            return float(self.loss_function(self.model(self.x), self.y))


RANK, SIZE = int(sys.argv[2]), int(sys.argv[3])
torch.set_num_threads(1)
torch.set_num_interop_threads(1)
if SIZE > 1:
    os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT=sys.argv[4], GLOO_SOCKET_IFNAME="lo")
    torch.distributed.init_process_group("gloo", rank=RANK, world_size=SIZE)
serve.serve(Peer, sys.argv[1])
