"""SkyRL 0.3.0 with its JAX backend on a CPU, bound to the loopback interface, for tests.

    python run_skyrl.py MODEL_DIR STATE_DIR [PORT]          gateway; prints "PORT n" when it is ready
    python run_skyrl.py --engine ARGUMENTS ...              what the gateway starts beside itself

The gateway starts its engine by `uv run` inside of a checkout; here by this file. On Python 3.11 pydantic refuses the
standard library's TypedDict, which has to be replaced before skyrl is imported, in both processes.
"""

import asyncio
import os
import socket
import sys
import typing
from pathlib import Path

import typing_extensions

typing.TypedDict = typing_extensions.TypedDict
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["JAX_PLATFORMS"] = "cpu"


def engine() -> None:
    from skyrl.tinker import engine as module

    sys.argv = ["engine", *sys.argv[2:]]
    module.main()


async def gateway(model: str, state: str, port: int) -> None:
    import uvicorn
    from skyrl.tinker import api
    from skyrl.tinker.config import EngineConfig, config_to_argv

    Path(state).mkdir(parents=True, exist_ok=True)
    api.app.state.engine_config = EngineConfig(
        base_model=model,
        backend="jax",
        backend_config={"max_lora_adapters": 12, "max_lora_rank": 8},
        checkpoints_base=str(Path(state) / "checkpoints"),
        database_url=f"sqlite:///{state}/tinker.db",
    )
    api._build_uv_run_cmd_engine = lambda _, config: [sys.executable, __file__, "--engine", *config_to_argv(config)]
    listener = socket.create_server(("127.0.0.1", port))
    server = uvicorn.Server(uvicorn.Config(api.app, log_level="warning"))
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    while not server.started:
        await asyncio.sleep(0.01)
    print("PORT", listener.getsockname()[1], flush=True)
    await serving


if __name__ == "__main__":
    if sys.argv[1] == "--engine":
        engine()
    else:
        asyncio.run(gateway(sys.argv[1], sys.argv[2], int(sys.argv[3]) if len(sys.argv) > 3 else 0))
