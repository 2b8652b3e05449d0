"""hatchery-core 0.3.0 on a CPU in float32, bound to the loopback interface, for tests.

    python run_hatchery.py MODEL_DIR STATE_DIR KEY [PORT]

The packaged launcher puts a scripted stub in the place of the model where there is no GPU, and binds all interfaces. Weights and
the record of who owns them are kept in STATE_DIR, so that a server that was killed finds them again. Prints "PORT n" when it
is ready. MODEL_DIR is the name of the base model.
"""

import asyncio
import os
import socket
import sys
from pathlib import Path

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["CUDA_VISIBLE_DEVICES"] = ""


async def main(model: str, state: str, key: str, port: int) -> None:
    os.environ["HATCHERY_WORKER_LOCAL_DIR"] = str(Path(state) / "worker")
    import torch
    import uvicorn
    from hatchery.core.backends.auth.api_key import APIKeyAuthProvider
    from hatchery.core.backends.compute.local import LocalComputeBackend
    from hatchery.core.backends.metadata.sqlite import SQLiteMetadataStore
    from hatchery.core.backends.metrics.log import LogMetrics
    from hatchery.core.backends.object_store.local import LocalObjectStore
    from hatchery.core.backends.queue.memory import InMemoryJobQueue
    from hatchery.core.config import Config
    from hatchery.core.gateway import create_app, set_config
    from hatchery.core.worker import GPUWorker

    torch.set_num_threads(1)
    auth = APIKeyAuthProvider()
    auth.add_key(key, user_id="test", tier="enterprise", max_concurrent_sessions=10_000, max_rank=256)
    config = Config(
        auth=auth,
        metadata=SQLiteMetadataStore(path=str(Path(state) / "metadata.db")),
        objects=LocalObjectStore(root=str(Path(state) / "objects")),
        queue=InMemoryJobQueue(),
        compute=LocalComputeBackend(),
        metrics=LogMetrics(),
    )
    set_config(config)
    app = create_app(config=config)
    await config.metadata.initialize()
    await config.queue.initialize()
    worker = GPUWorker(
        worker_id="live",
        base_model_name=model,
        config=config,
        device="cpu",
        dtype=torch.float32,
        attn_implementation="eager",
    )
    # A full model beside LoRA ones cannot be had with it.
    worker._raw_base.gradient_checkpointing_disable()
    await worker.register()

    async def work() -> None:
        while True:
            job = await config.queue.dequeue(worker_id=worker.worker_id, model_filter=model, visibility_timeout=300)
            if job is None:
                await asyncio.sleep(0.002)
                continue
            await worker._process_one(job)

    working = asyncio.create_task(work())
    listener = socket.create_server(("127.0.0.1", port))
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning", lifespan="off"))
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    while not server.started:
        await asyncio.sleep(0.01)
    print("PORT", listener.getsockname()[1], flush=True)
    await asyncio.wait({working, serving}, return_when=asyncio.FIRST_COMPLETED)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4]) if len(sys.argv) > 4 else 0))
